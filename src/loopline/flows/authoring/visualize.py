"""``flow.visualize()``: writes a picture, and shows it where something can."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.recorder import current_home
from loopline.errors import InvalidInputError
from loopline.records.flows import StateKind, TaskRun
from loopline.rules.picture import draw_dot, draw_mermaid, draw_svg

if TYPE_CHECKING:
    from loopline.flows.flow import Flow
    from loopline.flows.states import State

__all__ = ["Picture", "task_runs_of", "visualize"]

_ENDINGS = {"svg": ".svg", "dot": ".dot", "mermaid": ".mmd"}
_FORMATS = {
    ".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid",
}  # fmt: skip


class Picture:
    """A picture of a flow; a notebook shows it.

    Attributes:
        text: The SVG, DOT or Mermaid text.
        format: ``"svg"``, ``"dot"`` or ``"mermaid"``.
        path: The file it was written to.
    """

    def __init__(self, text: str, format: str, path: Path) -> None:  # noqa: A002 - Prefect's name
        self.text = text
        self.format = format
        self.path = path

    def _repr_svg_(self) -> str | None:
        return self.text if self.format == "svg" else None

    def _repr_markdown_(self) -> str | None:
        return f"```mermaid\n{self.text}```" if self.format == "mermaid" else None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Picture: {self.path}>"


def visualize(
    flow: Flow,
    flow_state: State | None = None,
    filename: str | Path | None = None,
    format: str | None = None,  # noqa: A002 - Prefect 1's name
    *,
    is_horizontal: bool = False,
) -> Picture:
    """Draw a flow, write the picture and show it: in a notebook, or with the desktop's viewer.

    Nothing is shown, and nothing fails, where there is no screen or output goes to a file.

    Args:
        flow: The flow.
        flow_state: Final state of a run, to colour it by.
        filename: Where to write; without an ending, that of the format is added. By default
            the flow's name in the home's ``pictures`` folder.
        format: ``"svg"``, ``"dot"`` or ``"mermaid"``; by default what the file's ending says.
        is_horizontal: Draw from left to right, in DOT and Mermaid; SVG goes from top to bottom.

    Raises:
        FlowBuildError: The flow goes round in a circle.
        InvalidInputError: There is no such format.
    """
    flow.sorted_tasks()
    ending = Path(filename).suffix.lower() if filename is not None else ""
    chosen = format or _FORMATS.get(ending, "svg")
    if chosen not in _ENDINGS:
        msg = f"Pictures cannot be written as {chosen!r}. Use format='svg', 'dot' or 'mermaid'."
        raise InvalidInputError(msg)
    runs = [] if flow_state is None else task_runs_of(flow, flow_state)
    if chosen == "svg":
        text = draw_svg(flow.graph(), runs, title=flow.name)
    else:
        draw = draw_dot if chosen == "dot" else draw_mermaid
        text = draw(flow.graph(), runs, title=flow.name, is_horizontal=is_horizontal)
    if filename is None:
        path = _write_somewhere(_file_name(flow.name) + _ENDINGS[chosen], text)
    else:
        path = Path(filename)
        if _FORMATS.get(ending) != chosen:
            path = path.with_name(path.name + _ENDINGS[chosen])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    picture = Picture(text, chosen, path)
    if not _is_notebook():
        print(f"The flow {flow.name!r} is drawn in {path}")  # noqa: T201 - what it is for
        if chosen == "svg" and _has_screen():
            _show(path)
    return picture


def task_runs_of(flow: Flow, flow_state: State) -> list[TaskRun]:
    """Turn the states of a run into records, as the backend has them."""
    states = flow_state.result if isinstance(flow_state.result, dict) else {}
    runs = []
    for task, state in states.items():
        slug = flow.slugs.get(task)
        if slug is not None:
            for index, each in enumerate([state, *state.map_states], start=-1):
                kind = StateKind(each.kind)
                runs.append(TaskRun(flow_run_id="", task_slug=slug, map_index=index, state=kind))
    return runs


def _file_name(name: str) -> str:
    """Make a file name of a flow's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "flow"


def _write_somewhere(name: str, text: str) -> Path:
    """Write to the home, or where that cannot be written, to a temporary folder."""
    try:
        folder = current_home() / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text, encoding="utf-8")
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="loopline-")) / name
        path.write_text(text, encoding="utf-8")
    return path


def _is_notebook() -> bool:
    """Whether the value of a cell is shown: no need to open anything."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def _has_screen() -> bool:
    if not sys.stdout.isatty():
        return False
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _show(path: Path) -> None:
    """Ask the desktop to open a file; return at once, whether or not it can."""
    with suppress(OSError):
        if sys.platform == "win32":
            os.startfile(path)  # noqa: S606 - as the desktop opens it
            return
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        subprocess.Popen(  # noqa: S603 - a fixed program and our own file
            [opener, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
