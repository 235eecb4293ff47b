"""Look for secrets in the files of this project: tokens of known shapes, and private keys.

    .venv/bin/python tools/scan_secrets.py

Reads what git tracks, or would track, with the rules that hide secrets in what runs record. What
only looks like one is made up for a test: such a line says ``not a secret`` in a comment, or is in
two parts. Needs no network; exit code 1 says that something was found, and where, but not what.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from loopline.rules.secrets import PRIVATE_KEY, SHAPES, is_secret_file, looks_random

__all__ = ["Found", "main", "scan", "scan_text"]

ROOT = Path(__file__).resolve().parent.parent
#: At the end of a line that is none.
MADE_UP = "not a secret"
#: Hashes by the thousand, which are nobody's secret.
LEFT_OUT = ("locks/",)


class Found(NamedTuple):
    """A place that looks like a secret.

    Attributes:
        path: Below the root.
        line: Counted from 1; 0: the whole file.
        what: Why.
    """

    path: str
    line: int
    what: str


def scan_text(path: str, text: str) -> list[Found]:
    """Look through one file."""
    found = [Found(path, 0, "a file for secrets")] if is_secret_file(path) else []
    lines = text.splitlines()
    for match in (*SHAPES.finditer(text), *PRIVATE_KEY.finditer(text)):
        line = text.count("\n", 0, match.start()) + 1
        is_key = match[0].startswith("-----")
        if MADE_UP in lines[line - 1] or not (is_key or looks_random(match[0])):
            continue
        found.append(Found(path, line, "a private key" if is_key else "a token by its shape"))
    return found


def scan(root: Path) -> list[Found]:
    """Look through all files of a repository that git does not ignore."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        capture_output=True,
        check=True,
    )
    found = []
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        path = root / name
        if name.startswith(LEFT_OUT) or path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data[:8192]:  # A picture, or a packed store.
            found += scan_text(name, data.decode(errors="replace"))
    return found


def main() -> None:
    """Scan this project and say what was found."""
    found = scan(ROOT)
    for each in found:
        print(f"{each.path}:{each.line}: {each.what}", file=sys.stderr)
    if found:
        sys.exit(
            f"{len(found)} places look like secrets. Take them out, and revoke what was real; "
            f"of what is made up, say so on the line: # {MADE_UP}"
        )


if __name__ == "__main__":
    main()
