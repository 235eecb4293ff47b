"""Pictures of flows: the graph as SVG, as DOT for Graphviz, and as Mermaid text.

The SVG needs no script and no font of its own. It is coloured by the states of a run, follows the
reader's light or dark mode, and says every state in words, too: colour alone tells some readers
nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from loopline.records.flows import StateKind
from loopline.rules.layout import Point, lay_out
from loopline.rules.picture_style import STYLE, text_width, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loopline.records.flows import FlowGraph, GraphTask, TaskRun

__all__ = ["Mark", "draw_dot", "draw_mermaid", "draw_svg", "mark_tasks"]

_MARGIN = 20.0
_PAD_X = 14.0
_LINE = 17.0
_SMALL_LINE = 15.0
_NAME_PX = 13.0
_NOTE_PX = 11.0
_TITLE_PX = 14.0
_KEY_PX = 10.5
#: A label needs a piece of line this high.
_LABEL_ROOM = 40.0
#: With more edges, what each one carries is told when the reader points at it.
_MOST_LABELS = 30


_ARROW = (
    '<defs><marker id="loopline-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
    ' markerHeight="7" orient="auto"><path d="M0.5 0.8 7.5 4 0.5 7.2z"/></marker></defs>'
)


class Mark(NamedTuple):
    """How a task stands in a run.

    Attributes:
        state: The state that its colour shows: of a mapped task, the worst of its children's.
        note: The state in words.
    """

    state: StateKind
    note: str


#: The worse, the earlier: what decides the colour of a mapped task.
_BY_WORTH = (
    StateKind.FAILED,
    StateKind.TIMED_OUT,
    StateKind.VALIDATION_FAILED,
    StateKind.TRIGGER_FAILED,
    StateKind.CANCELLED,
    StateKind.PAUSED,
    StateKind.RETRYING,
    StateKind.LOOPED,
    StateKind.RUNNING,
    StateKind.SUBMITTED,
    StateKind.RESUME,
    StateKind.SCHEDULED,
    StateKind.PENDING,
)


def mark_tasks(graph: FlowGraph, task_runs: Iterable[TaskRun]) -> dict[str, Mark]:
    """Sum up how each task stands; of a mapped one, how many children are done."""
    own: dict[str, StateKind] = {}
    children: dict[str, list[StateKind]] = defaultdict(list)
    for run in task_runs:
        if run.map_index < 0:
            own[run.task_slug] = run.state
        else:
            children[run.task_slug].append(run.state)
    marks: dict[str, Mark] = {}
    for task in graph.tasks:
        states = children.get(task.slug)
        if states:
            done = sum(state.is_successful for state in states)
            bad = sum(state.is_failed for state in states)
            worst = next((kind for kind in _BY_WORTH if kind in states), StateKind.SUCCESS)
            note = f"{done} of {len(states)} done" + (f", {bad} failed" if bad else "")
            marks[task.slug] = Mark(worst, note)
        elif task.slug in own:
            marks[task.slug] = Mark(own[task.slug], _words(own[task.slug]))
    return marks


def _words(state: StateKind) -> str:
    """Write a state as words: ``"Trigger failed"``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", state.value).capitalize()


# --- SVG ---------------------------------------------------------------------------------------


class _Box(NamedTuple):
    """A task as it is drawn."""

    task: GraphTask
    lines: list[str]
    note: str
    state: str
    width: float
    height: float


def draw_svg(
    graph: FlowGraph,
    task_runs: Iterable[TaskRun] = (),
    *,
    title: str = "",
    link: Callable[[str], str] | None = None,
) -> str:
    """Draw a flow.

    Args:
        graph: The flow.
        task_runs: Of the run that colours it; without any, it is drawn plain.
        title: Written above, such as the flow's name.
        link: Gives the address that a task's box leads to, from its slug.

    Returns:
        One ``<svg>`` element, for a file or for a page.

    Raises:
        ValueError: The graph has a cycle.
    """
    runs = list(task_runs)
    marks = mark_tasks(graph, runs)
    boxes = {task.slug: _box(task, marks.get(task.slug), in_run=bool(runs)) for task in graph.tasks}
    edges = [(edge.upstream, edge.downstream) for edge in graph.edges]
    sizes = {slug: (box.width, box.height) for slug, box in boxes.items()}
    has_labels = len(set(edges)) <= _MOST_LABELS and any(edge.key for edge in graph.edges)
    layout = lay_out(sizes, edges, gap_y=62.0 if has_labels else 50.0)
    head = _MARGIN + (_TITLE_PX + 16.0 if title else 0.0)
    width = max(layout.width, text_width(title, _TITLE_PX, bold=True), 120.0) + 2 * _MARGIN
    height = layout.height + head + _MARGIN
    shift = ((width - layout.width) / 2, head)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="loopline-flow" role="img"'
            f' viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        ),
        f"<title>{escape(_summary(graph, marks, title))}</title>",
        f"<style>{STYLE}</style>",
        _ARROW,
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}" rx="10"/>',
    ]
    if title:
        parts.append(
            f'<text class="title" x="{width / 2:.0f}" y="{_MARGIN + _TITLE_PX:.0f}">'
            f"{escape(title)}</text>"
        )
    parts += _draw_edges(graph, layout.routes, shift)
    for slug, box in boxes.items():
        centre = layout.nodes[slug]
        drawn = _draw_box(box, Point(centre.x + shift[0], centre.y + shift[1]))
        parts.append(f'<a href="{escape(link(slug))}">{drawn}</a>' if link else drawn)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _summary(graph: FlowGraph, marks: Mapping[str, Mark], title: str) -> str:
    """Say in words what the picture shows, for readers who cannot see it."""
    number = len(graph.tasks)
    told = f"{title or 'Flow'}: {number} task{'' if number == 1 else 's'}"
    states: dict[str, int] = defaultdict(int)
    for mark in marks.values():
        states[_words(mark.state).lower()] += 1
    return told + "".join(f", {count} {state}" for state, count in sorted(states.items()))


def _box(task: GraphTask, mark: Mark | None, *, in_run: bool) -> _Box:
    lines = wrap(task.name)
    if mark is not None:
        note, state = mark.note, mark.state.value
    else:
        note = "Pending" if in_run else _features(task)
        state = StateKind.PENDING.value if in_run else "plain"
    widest = max(text_width(line, _NAME_PX, bold=True) for line in lines)
    width = max(widest, text_width(note, _NOTE_PX) + (14.0 if in_run else 0.0), 56.0) + 2 * _PAD_X
    height = len(lines) * _LINE + (_SMALL_LINE if note else 0.0) + 16.0
    return _Box(task, lines, note, state, round(width), height)


def _features(task: GraphTask) -> str:
    """Tell in a few words what is special about a task."""
    found = []
    if task.kind == "parameter":
        found.append("parameter")
    if task.is_mapped:
        found.append("mapped")
    if task.trigger != "all_successful":
        found.append(task.trigger.replace("_", " "))
    retries = len(task.retry_delays_s)
    if retries:
        found.append(f"{retries} retr{'y' if retries == 1 else 'ies'}")
    return " · ".join(found)


def _draw_box(box: _Box, centre: Point) -> str:
    left, top = centre.x - box.width / 2, centre.y - box.height / 2
    rx = box.height / 2 if box.task.kind == "parameter" else 7
    frame = f'width="{box.width:.0f}" height="{box.height:.0f}" rx="{rx:.0f}"'
    parts = [
        f'<g class="task {box.state} {box.task.kind}">',
        f"<title>{escape(_told(box))}</title>",
    ]
    if box.task.is_mapped:
        parts.append(f'<rect class="behind" x="{left + 5:.1f}" y="{top + 5:.1f}" {frame}/>')
    parts.append(f'<rect class="paper" x="{left:.1f}" y="{top:.1f}" {frame}/>')
    parts.append(f'<rect class="box" x="{left:.1f}" y="{top:.1f}" {frame}/>')
    y = top + 8.0
    for line in box.lines:
        parts.append(
            f'<text class="name" x="{centre.x:.1f}" y="{y + 13:.1f}">{escape(line)}</text>'
        )
        y += _LINE
    if box.note:
        x = centre.x
        if box.state != "plain":
            x += 7.0
            dot = x - text_width(box.note, _NOTE_PX) / 2 - 8.0
            parts.append(f'<circle class="dot" cx="{dot:.1f}" cy="{y + 7.5:.1f}" r="3.5"/>')
        parts.append(f'<text class="note" x="{x:.1f}" y="{y + 11.5:.1f}">{escape(box.note)}</text>')
    parts.append("</g>")
    return "".join(parts)


def _told(box: _Box) -> str:
    """Write what the reader is told when pointing at a box: the whole name, and more."""
    task = box.task
    told = [task.name if task.name == task.slug else f"{task.name} ({task.slug})", box.note]
    told.append(_features(task) if _features(task) != box.note else "")
    if task.timeout_s is not None:
        told.append(f"timeout {task.timeout_s:g} s")
    return "\n".join(line for line in (*told, ", ".join(task.tags)) if line)


def _draw_edges(
    graph: FlowGraph,
    routes: Mapping[tuple[str, str], list[Point]],
    shift: tuple[float, float],
) -> list[str]:
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for edge in graph.edges:
        if edge.key:
            keys[edge.upstream, edge.downstream].append(edge.key)
    parts = []
    labels = []
    taken: list[_Area] = []
    for pair, route in routes.items():
        points = [Point(x + shift[0], y + shift[1]) for x, y in route]
        label = ", ".join(dict.fromkeys(keys[pair]))
        order = "" if label else " order"
        told = (
            f"<title>{escape(f'{pair[0]} → {pair[1]}' + (f': {label}' if label else ''))}</title>"
        )
        parts.append(
            f'<path class="edge{order}" d="{_path(points)}" marker-end="url(#loopline-arrow)">'
            f"{told}</path>"
        )
        if label and len(routes) <= _MOST_LABELS:
            at = _label_place(points, text_width(label, _KEY_PX), taken)
            if at is not None:
                labels.append(
                    f'<text class="key" x="{at.x:.1f}" y="{at.y + 3.5:.1f}">{escape(label)}</text>'
                )
    return parts + labels


def _label_place(points: list[Point], width: float, taken: list[_Area]) -> Point | None:
    """Find a place on a line where a label covers no other; None: there is none."""
    pieces = [(one, other) for one, other in pairwise(points) if other.y - one.y > _LABEL_ROOM]
    for one, other in reversed(pieces):
        for part in (0.5, 0.62, 0.38, 0.74, 0.26):
            at = _on_curve(one, other, part)
            area = _Area(at.x - width / 2, at.y - 7.0, at.x + width / 2, at.y + 7.0)
            if not any(area.meets(each) for each in taken):
                taken.append(area)
                return at
    return None


class _Area(NamedTuple):
    """A rectangle that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def _on_curve(one: Point, other: Point, part: float) -> Point:
    """Return a point of the curve that ``_path`` draws between two points."""
    back = 1.0 - part
    first, second = back**3 + 3 * back**2 * part, 3 * back * part**2 + part**3
    middle = (one.y + other.y) / 2
    y = back**3 * one.y + 3 * back * part * middle + part**3 * other.y
    return Point(first * one.x + second * other.x, y)


def _path(points: list[Point]) -> str:
    """Draw a line that leaves and enters each layer straight down."""
    path = f"M{points[0].x:.1f} {points[0].y:.1f}"
    for one, other in pairwise(points):
        if one.x == other.x:
            path += f"V{other.y:.1f}"
        else:
            middle = (one.y + other.y) / 2
            path += (
                f"C{one.x:.1f} {middle:.1f} {other.x:.1f} {middle:.1f} {other.x:.1f} {other.y:.1f}"
            )
    return path


# --- text --------------------------------------------------------------------------------------

_SHADES = {
    StateKind.SUCCESS: "#2da44e",
    StateKind.CACHED: "#2da44e",
    StateKind.MAPPED: "#2da44e",
    StateKind.SKIPPED: "#8c959f",
    StateKind.RUNNING: "#218bff",
    StateKind.RETRYING: "#d4a72c",
    StateKind.PAUSED: "#d4a72c",
    StateKind.LOOPED: "#218bff",
    StateKind.FAILED: "#cf222e",
    StateKind.TIMED_OUT: "#cf222e",
    StateKind.VALIDATION_FAILED: "#cf222e",
    StateKind.TRIGGER_FAILED: "#e16f24",
    StateKind.CANCELLED: "#8250df",
}


def draw_dot(
    graph: FlowGraph,
    task_runs: Iterable[TaskRun] = (),
    *,
    title: str = "",
    is_horizontal: bool = False,
) -> str:
    """Write a flow in Graphviz's DOT language."""
    marks = mark_tasks(graph, task_runs)
    lines = [f"digraph {_quote(title or 'flow')} {{"]
    lines.append('  node [shape=box, style="rounded", fontname="sans-serif"];')
    if is_horizontal:
        lines.append("  rankdir=LR;")
    for task in graph.tasks:
        extra = ', shape=ellipse, style=""' if task.kind == "parameter" else ""
        extra += ", peripheries=2" if task.is_mapped else ""
        mark = marks.get(task.slug)
        label = task.name
        if mark is not None:
            label += f"\n{mark.note}"
            if mark.state in _SHADES:
                extra += f', color="{_SHADES[mark.state]}"'
        lines.append(f"  {_quote(task.slug)} [label={_quote(label)}{extra}];")
    for edge in graph.edges:
        label = f" [label={_quote(edge.key)}]" if edge.key else " [style=dashed]"
        lines.append(f"  {_quote(edge.upstream)} -> {_quote(edge.downstream)}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def draw_mermaid(
    graph: FlowGraph,
    task_runs: Iterable[TaskRun] = (),
    *,
    title: str = "",
    is_horizontal: bool = False,
) -> str:
    """Write a flow in the language of Mermaid, which many sites draw in Markdown."""
    marks = mark_tasks(graph, task_runs)
    ids = {task.slug: f"t{number}" for number, task in enumerate(graph.tasks)}
    lines = ["---", f"title: {_mermaid_title(title)}", "---"] if title else []
    lines.append("flowchart LR" if is_horizontal else "flowchart TD")
    used: dict[StateKind, None] = {}
    for task in graph.tasks:
        mark = marks.get(task.slug)
        label = _mermaid_text(task.name) + (f"<br/>{mark.note}" if mark is not None else "")
        opening, closing = ('(["', '"])') if task.kind == "parameter" else ('["', '"]')
        opening, closing = ('[["', '"]]') if task.is_mapped else (opening, closing)
        css = ""
        if mark is not None and mark.state in _SHADES:
            used[mark.state] = None
            css = f":::{mark.state.value}"
        lines.append(f"    {ids[task.slug]}{opening}{label}{closing}{css}")
    for edge in graph.edges:
        arrow = f'-- "{_mermaid_text(edge.key)}" -->' if edge.key else "-.->"
        lines.append(f"    {ids[edge.upstream]} {arrow} {ids[edge.downstream]}")
    lines += [f"    classDef {kind.value} stroke:{_SHADES[kind]},stroke-width:2px" for kind in used]
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    """Write text as Mermaid reads it: its own characters as numbered entities."""
    return re.sub(r'["#<>&\[\]{}()|`\\]', lambda found: f"#{ord(found[0])};", text)


def _mermaid_title(text: str) -> str:
    """Write a title for the YAML header, where a colon would mean something."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
