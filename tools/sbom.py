"""Write bills of materials from the locks: CycloneDX 1.6, one for each set of packages.

    python3 tools/sbom.py [FOLDER]

``FOLDER`` (``dist/sbom``) gets ``loopline-VERSION-core.cdx.json``, what ``pip install loopline``
brings, and one for each other lock of the project itself. The same locks give the same bytes, and
no network is asked: names, versions and SHA-256 are in the locks.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

__all__ = ["bill_of", "main", "packages_in"]

ROOT = Path(__file__).resolve().parent.parent
#: ``name==version ; marker \`` and below it a hash a line.
_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;\\]+)(?: ; (?P<for>[^\\]+))?"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_DIRECT = re.compile(r"[A-Za-z0-9._-]+")


def packages_in(lock: str) -> list[dict[str, Any]]:
    """Read the packages of a lock, as components."""
    found = []
    for part in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        match = _PACKAGE.match(part)
        if match is None:
            sys.exit(f"sbom: {part.splitlines()[0]!r} is no line of a lock. Run `make lock`.")
        name, version = match["name"], match["version"]
        purl = f"pkg:pypi/{name.replace('_', '-')}@{version.replace('+', '%2B')}"
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            # One for each distribution of this version: wheels for systems and Pythons.
            "hashes": [{"alg": "SHA-256", "content": each} for each in _HASH.findall(part)],
        }
        if match["for"]:
            marker = {"name": "loopline:marker", "value": match["for"].strip()}
            component["properties"] = [marker]
        found.append(component)
    return found


def bill_of(project: dict[str, Any], lock: str, name: str) -> dict[str, Any]:
    """Make the bill of one lock.

    Args:
        project: The table ``project`` of pyproject.toml.
        lock: Text of the lock.
        name: Of the lock.
    """
    components = packages_in(lock)
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    known = {component["name"].replace("_", "-"): component["bom-ref"] for component in components}
    asked = [_DIRECT.match(each) for each in project["dependencies"]]
    direct = [match[0].lower().replace("_", "-") for match in asked if match]
    identity = json.dumps([own, name, components])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "purl": own,
                "licenses": [{"license": {"id": project["license"]}}],
            },
            "properties": [{"name": "loopline:lock", "value": f"locks/{name}.txt"}],
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": sorted(known[each] for each in direct if each in known)}
        ],
    }


def main() -> None:
    """Write a bill for each lock of ours; MLflow's are of the tests alone."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist" / "sbom")
    folder.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for lock in sorted((ROOT / "locks").glob("*.txt")):
        if lock.stem.startswith(("mlflow-", "audit", "bigquery-emulator")):
            continue
        bill = bill_of(project, lock.read_text(), lock.stem)
        target = folder / f"{project['name']}-{project['version']}-{lock.stem}.cdx.json"
        target.write_text(json.dumps(bill, indent=1) + "\n")
        print(f"{target}: {len(bill['components'])} packages")


if __name__ == "__main__":
    main()
