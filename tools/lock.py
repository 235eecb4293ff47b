"""Write ``locks/`` from ``pyproject.toml``: every package, its version and its hashes.

- ``core.txt``: what ``pip install loopline`` brings.
- ``base.txt``: that, the extras that ``BASE`` names, and what developing needs.
- ``keras.txt``: what the extra ``keras`` adds to ``base.txt``.

Each file fits every platform and Python that the project supports. Versions stay as they are
while they fit; with ``--upgrade`` the newest are taken. The resolver, uv, is installed into a
temporary environment; its own settings (``UV_*``) decide which index it asks.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
HEADER = "# Written by `make lock` from pyproject.toml. Do not edit.\n"
BASE = [f"--extra={extra}" for extra in ("buckets", "dask", "data", "demo", "postgres")]
BASE += ["--group", "dev"]


def main() -> None:
    """Resolve the three sets, each within the versions of ``base.txt``."""
    LOCKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        uv = python.with_name("uv")
        base = compile_lock(uv, "base", *BASE, *sys.argv[1:])
        write("base", base)
        within_base = ["--constraint", "locks/base.txt"]
        core = compile_lock(uv, "core", *within_base)
        write("core", core)
        keras = compile_lock(uv, "keras", "--extra", "keras", *within_base)
        write("keras", [package for package in keras if package not in base])
        if missing := [package for package in core if package not in base]:
            sys.exit(f"lock: core.txt does not agree with base.txt: {missing}")


def compile_lock(uv: Path, name: str, *options: str) -> list[str]:
    """Resolve one set; return its packages, each with its hashes."""
    path = LOCKS / f"{name}.txt"
    wanted = ["pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes"]
    bare = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"]
    subprocess.run(
        [uv, "pip", "compile", *wanted, *bare, "--output-file", path, *options],
        cwd=ROOT,
        check=True,
    )
    return re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]


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
