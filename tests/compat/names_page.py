"""Write docs/prefect-names.md: every public name of Prefect 1.4.1, and what becomes of it here.

PYTHONPATH=. python tests/compat/names_page.py
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from loopline.compat.prefect.refusals import MODULES, RefusedError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/prefect-names.md"
HERE = "loopline.compat.prefect"
NAMES: dict[str, list[str]] = json.loads(Path(__file__).with_name("prefect_1_4_1.json").read_text())

HEAD = """\
# Prefect 1's names, one by one

Every public name of Prefect 1.4.1 and what becomes of it under `loopline.compat.prefect`. *Same*:
Loopline's own class or function, behaving as Prefect's does but for what
[flows](flows.md#other-than-in-prefect-1) and
[schedules](schedules.md#what-differs-from-prefect-141) list. *Adapted*: a thin layer over what
Loopline has. *Refused*: its import says what to do instead, as here. Written from the modules
themselves; a test compares.
"""


def find(module: str, name: str) -> object:
    """Import a name as a program does."""
    path = f"{HERE}.{module}" if module else HERE
    return getattr(importlib.import_module(path), name)


def kind_of(module: str, name: str) -> tuple[str, str]:
    """Tell what becomes of a name: same, adapted or refused; and its home or what to do."""
    try:
        found = find(module, name)
    except RefusedError as refusal:
        return "refused", str(refusal).partition(" is not in Loopline. ")[2]
    home = getattr(found, "__module__", None) or type(found).__module__
    return ("adapted" if home.startswith(HERE) else "same"), home


def render() -> str:
    """Write the page."""
    lines = [HEAD]
    total = dict.fromkeys(("same", "adapted", "refused"), 0)
    rows: list[str] = []
    for module, names in NAMES.items():
        groups: dict[tuple[str, str], list[str]] = {}
        for name in names:
            kind, told = kind_of(module, name)
            total[kind] += 1
            groups.setdefault((kind, told if kind == "refused" else ""), []).append(f"`{name}`")
        title = f"prefect.{module}" if module else "prefect"
        for (kind, told), each in groups.items():
            rows.append(f"| `{title}` | {', '.join(each)} | {kind} | {told} |")
    lines.append(", ".join(f"{count} {kind}" for kind, count in total.items()) + ".\n")
    lines += ["| module | names | here | instead |", "|---|---|---|---|", *rows, ""]
    families = sorted(name for name in MODULES if name.startswith("tasks."))
    lines += [
        "## Families of tasks that are not here",
        "",
        ", ".join(f"`prefect.{name}`" for name in families) + ".",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render())
