"""Write ``locks/`` from ``pyproject.toml``: every package, its version and its hashes.

- ``core.txt``: what ``pip install loopline`` brings.
- ``base.txt``: that, the extras that ``BASE`` names, and what developing needs.
- ``keras.txt``, ``torch.txt``: what these libraries add to ``base.txt``; torch with the other heavy
  ones, CatBoost and ONNX.
- ``torch-gpu.txt``: what torch needs besides, unless its build is for CPUs alone.
- ``audit.txt``, ``bigquery-emulator.txt``, ``mlflow-*.txt``: a whole environment for each
  dependency group of that name.

Each file fits every platform and Python that the project supports, and names nothing that has to
be built. Versions stay as they are while they fit; with ``--upgrade`` the newest are taken. The
resolver, uv, is installed into a temporary environment; its own settings (``UV_*``) decide which
index it asks.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
HEADER = "# Written by `make lock` from pyproject.toml. Do not edit.\n"
PROJECT = "pyproject.toml"
BASE_EXTRAS = ("buckets", "dask", "data", "demo", "duckdb", "gcs", "oidc", "postgres")
BASE_EXTRAS += ("messages", "notebooks", "secrets", "vm")
BASE = [f"--extra={extra}" for extra in BASE_EXTRAS]
BASE += ["--group=dev"]
TORCH = [f"--extra={extra}" for extra in ("catboost", "lightning", "onnx", "torch", "transformers")]
TORCH += ["--group=torch"]
#: Groups with an environment of their own.
APART = ("mlflow-", "audit", "bigquery-emulator")
FOR_GPUS = ("cuda-", "nvidia-", "triton==")


def main() -> None:
    """Resolve all sets; those for ``.venv`` within the versions of ``base.txt``."""
    LOCKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        uv = python.with_name("uv")
        base = compile_lock(uv, "base", PROJECT, *BASE, *sys.argv[1:])
        write("base", base)
        within = ["--constraint=locks/base.txt"]
        core = compile_lock(uv, "core", PROJECT, *within)
        write("core", core)
        if missing := [package for package in core if package not in base]:
            sys.exit(f"lock: core.txt does not agree with base.txt: {missing}")

        keras = compile_lock(uv, "keras", PROJECT, "--extra=keras", *within, *sys.argv[1:])
        write("keras", [package for package in keras if package not in base])
        within += ["--constraint=locks/keras.txt"]
        before = packages_of("torch") + packages_of("torch-gpu")
        prefer("torch", before)
        torch = compile_lock(uv, "torch", PROJECT, *TORCH, *within, *sys.argv[1:])
        added = [package for package in torch if package not in base]
        write("torch-gpu", [package for package in added if package.startswith(FOR_GPUS)])
        rest = [package for package in added if not package.startswith(FOR_GPUS)]
        write("torch", [with_cpu_builds(package, before, python) for package in rest])

        for group in tomllib.loads((ROOT / PROJECT).read_text())["dependency-groups"]:
            if group.startswith(APART):
                own = packages_of(group)
                known = {name_of(package) for package in own}
                rest = [package for package in base if name_of(package) not in known]
                prefer(group, own + rest)  # The wheels of base are there already.
                write(group, compile_lock(uv, group, f"--group={group}", *sys.argv[1:]))


def compile_lock(uv: Path, name: str, *wanted: str) -> list[str]:
    """Resolve one set; return its packages, each with its hashes."""
    every = ["--universal", "--python-version=3.11", "--generate-hashes", "--only-binary=:all:"]
    bare = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"]
    subprocess.run(
        [uv, "pip", "compile", *every, *bare, f"--output-file=locks/{name}.txt", *wanted],
        cwd=ROOT,
        check=True,
    )
    return packages_of(name)


def packages_of(name: str) -> list[str]:
    """Read the packages of a lock; none where there is no such lock."""
    path = LOCKS / f"{name}.txt"
    text = path.read_text() if path.exists() else ""
    return re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]


def name_of(package: str) -> str:
    """Return the name of a lock's package."""
    return package.partition("==")[0]


def prefer(name: str, packages: list[str]) -> None:
    """Let the resolver of a set take these versions where they fit; one for each package."""
    (LOCKS / f"{name}.txt").write_text("".join(packages))


def with_cpu_builds(package: str, before: list[str], python: Path) -> str:
    """Add to torch the hashes of its builds for CPUs alone: PyPI has none for Linux on x86.

    They are those that the lock had for this version, and the one that pip takes here.
    """
    requirement, *hashes = package.rstrip().split(" \\\n    ")
    if not requirement.startswith("torch=="):
        return package
    for known in before:
        if known.startswith(f"{requirement} "):
            hashes += known.rstrip().split(" \\\n    ")[1:]
    asked = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report=-"]
    report = subprocess.run(
        [python, "-m", "pip", *asked, requirement], stdout=subprocess.PIPE, check=True
    )
    (taken,) = json.loads(report.stdout)["install"]
    if taken["metadata"]["version"].endswith("+cpu"):
        hashes.append(f"--hash=sha256:{taken['download_info']['archive_info']['hashes']['sha256']}")
    return " \\\n    ".join([requirement, *sorted(set(hashes))]) + "\n"


def write(name: str, packages: list[str]) -> None:
    """Write a lock file and say how much is in it.

    A lock never says where a package comes from: that is the business of each machine's settings.
    """
    text = HEADER + "".join(packages)
    if "://" in text or "--index" in text:
        sys.exit(f"lock: {name}.txt names an address; look at the settings of uv on this machine.")
    (LOCKS / f"{name}.txt").write_text(text)
    print(f"locks/{name}.txt: {len(packages)} packages")


if __name__ == "__main__":
    main()
