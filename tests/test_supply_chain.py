"""What is shipped is known: bills of materials, an audit of the locks, no secret in any file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: In two parts, so that nobody takes this file for one that holds them.
TOKENS = [
    "ghp_" + "x7Kq9mZ2vB4nR8sT1wY5cD3fG6hJ0kL",
    "AKIA" + "Q3ZX7MP2VB9NRT4W",
    "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vW7",
]
PRIVATE = "-----BEGIN PRIVATE" + " KEY-----\nMIIE\n-----END PRIVATE" + " KEY-----"


def tool(name: str) -> ModuleType:
    """Load a script of tools/, as nothing imports them."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sbom")
    command = [sys.executable, str(ROOT / "tools" / "sbom.py"), str(folder)]
    subprocess.run(command, check=True, env={}, capture_output=True)
    return {
        path.name.split("-")[-1].partition(".")[0]: path.read_text() for path in folder.iterdir()
    }


def test_each_bill_is_valid_by_cyclonedx_own_schema(bills: dict[str, str]) -> None:
    assert bills.keys() >= {"core", "base", "keras", "torch"}
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for name, text in bills.items():
        assert validator.validate_str(text) is None, name
    broken = json.loads(bills["core"])
    broken["components"][0]["hashes"][0]["content"] = "short"
    assert validator.validate_str(json.dumps(broken)) is not None


def test_the_bill_of_the_core_lists_all_that_is_installed_with_hashes(
    bills: dict[str, str],
) -> None:
    bill = json.loads(bills["core"])
    lock = (ROOT / "locks" / "core.txt").read_text()
    assert len(bill["components"]) == lock.count("==") > 20
    assert all(component["hashes"] for component in bill["components"])
    (own,) = bill["dependencies"]
    assert len(own["dependsOn"]) == len(PROJECT["dependencies"])
    assert set(own["dependsOn"]) <= {component["bom-ref"] for component in bill["components"]}
    assert "uvloop" in bills["core"]
    marked = [each for each in bill["components"] if each.get("properties")]
    assert "platform" in json.dumps(marked)  # For some systems alone, as the lock says.


def test_the_same_locks_make_the_same_bills(bills: dict[str, str]) -> None:
    sbom = tool("sbom")
    lock = (ROOT / "locks" / "core.txt").read_text()
    again = sbom.bill_of(PROJECT, lock, "core")
    assert json.loads(bills["core"]) == again
    newer = sbom.bill_of(PROJECT, lock.replace("click==", "click==9", 1), "core")
    assert newer["serialNumber"] != again["serialNumber"]


def test_no_file_of_the_project_holds_a_secret() -> None:
    assert tool("scan_secrets").scan(ROOT) == []


@pytest.mark.parametrize("secret", [*TOKENS, PRIVATE])
def test_a_secret_that_slips_in_is_found_without_being_repeated(
    tmp_path: Path, secret: str
) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # noqa: S607
    (tmp_path / "settings.py").write_text(f"A = 1\ntoken = '''{secret}'''\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "ignored").write_text(secret)
    (tmp_path / ".env").write_text("A=1\n")
    found = tool("scan_secrets").scan(tmp_path)
    assert [(each.path, each.line) for each in found] == [(".env", 0), ("settings.py", 2)]
    assert secret not in repr(found)
    told = tmp_path / "settings.py"
    told.write_text(f"token = '''{secret.splitlines()[0]}''' # not a secret\n")
    assert len(tool("scan_secrets").scan(tmp_path)) == 1


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


def test_the_audit_tells_what_it_found_from_what_it_could_not_ask() -> None:
    read = tool("audit").read_report
    fine = {"name": "click", "version": "8.5.1", "vulns": []}
    flaw = {"id": "PYSEC-1", "fix_versions": ["2"], "aliases": [], "description": ""}
    assert read(report(fine), "") == (1, [], "")
    verdict = read(report(fine, {"name": "h11", "version": "1", "vulns": [flaw]}), "")
    assert verdict.found == ["h11 1: PYSEC-1, mended in 2"]
    for out, err in [("", "ERROR:pip_audit._cli:no route"), ("{}", ""), ("[]", "x"), ("null", "")]:
        assert read(out, err).asked == 0
        assert read(out, err).why
    skipped = report({"name": "click", "skip_reason": "not reached"})
    assert read(skipped, "").asked == 0


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_make_audit_ends_well_with_a_network_and_without() -> None:
    command = ["make", "audit"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "packages" in done.stdout or "could not be asked" in done.stdout
