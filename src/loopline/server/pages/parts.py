"""The parts pages are made of: states, times, tables, facts, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.records.flows import StateKind
from loopline.records.registry import Stage
from loopline.records.tracking import RunStatus
from loopline.rules.words import count_words, distance_words, duration_words, time_words
from loopline.server.pages.html import Child, Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopline.records.flows import FlowRun, TaskRun
    from loopline.records.tracking import Run

__all__ = [
    "Column",
    "clamped",
    "command",
    "crumbs",
    "empty",
    "facts",
    "more",
    "note",
    "section",
    "spent",
    "stage_pill",
    "state_pill",
    "status_pill",
    "table",
    "texts",
    "tone",
    "when",
]

TONES: dict[str, str] = {
    StateKind.PENDING: "idle",
    StateKind.SCHEDULED: "wait",
    StateKind.PAUSED: "warn",
    StateKind.RESUME: "wait",
    StateKind.QUEUED: "wait",
    StateKind.SUBMITTED: "busy",
    StateKind.CLIENT_FAILED: "bad",
    StateKind.RUNNING: "busy",
    StateKind.CANCELLING: "busy",
    StateKind.RETRYING: "warn",
    StateKind.LOOPED: "busy",
    StateKind.SUCCESS: "good",
    StateKind.CACHED: "good",
    StateKind.MAPPED: "good",
    StateKind.SKIPPED: "idle",
    StateKind.FAILED: "bad",
    StateKind.TRIGGER_FAILED: "bad",
    StateKind.TIMED_OUT: "bad",
    StateKind.VALIDATION_FAILED: "bad",
    StateKind.CANCELLED: "idle",
    RunStatus.SCHEDULED: "wait",
    RunStatus.RUNNING: "busy",
    RunStatus.FINISHED: "good",
    RunStatus.FAILED: "bad",
    RunStatus.KILLED: "idle",
}

STAGE_TONES: dict[str, str] = {
    Stage.PRODUCTION: "good",
    Stage.STAGING: "warn",
    Stage.ARCHIVED: "idle",
    Stage.NONE: "wait",
}

#: Where one word of the code is two for people.
WORDS = {
    StateKind.CLIENT_FAILED: "Client failed",
    StateKind.TRIGGER_FAILED: "Trigger failed",
    StateKind.TIMED_OUT: "Timed out",
    StateKind.VALIDATION_FAILED: "Validation failed",
}


class Column(NamedTuple):
    """A column of a table: what stands above it, and how its cells look (a CSS class)."""

    head: Child
    style: str = ""


def tone(state: str) -> str:
    """Choose the colour of a state: good, bad, busy, wait, warn or idle."""
    return TONES.get(state, "idle")


def state_pill(state: StateKind) -> Markup:
    """Show the state of a flow run or task run."""
    return tag("span", WORDS.get(state, state.value), class_=f"pill {tone(state)}")


def status_pill(status: RunStatus) -> Markup:
    """Show the status of a run."""
    return tag("span", status.value.capitalize(), class_=f"pill {tone(status)}")


def stage_pill(stage: str) -> Markup:
    """Show a stage of a model."""
    return tag("span", stage, class_=f"pill {STAGE_TONES.get(stage, 'warn')}")


def when(at_ms: int | None, now_ms: int) -> Markup | None:
    """Show a time as a distance from now, with the time itself on pointing at it."""
    if not at_ms:
        return None
    exact = time_words(at_ms)
    return tag("time", distance_words(at_ms, now_ms), title=exact, class_="nowrap")


def spent(thing: Run | FlowRun | TaskRun, now_ms: int) -> str:
    """Say how long a run took, or has taken so far."""
    measured = getattr(thing, "duration_ms", None)
    if measured is not None:
        return duration_words(measured)
    if not thing.start_ms:
        return ""
    if thing.end_ms is None:
        return f"{duration_words(now_ms - thing.start_ms)} so far"
    return duration_words(thing.end_ms - thing.start_ms)


def clamped(child: Child, whole: str) -> Markup:
    """Show at most two lines of something long; pointing at it shows the ``whole``."""
    return tag("div", child, class_="clamped", title=whole or None)


def section(title: str, *body: Child, count: int | None = None, id_: str | None = None) -> Markup:
    """A titled box; ``count`` stands beside the title."""
    counted = None if count is None else tag("span", f"{count:,}", class_="count")
    return tag("section", tag("h2", title, counted), *body, id=id_)


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Child]],
    *,
    label: str,
    id_: str | None = None,
) -> Markup:
    """A table that scrolls sideways by itself when it is wider than the page."""
    styles = [column.style or None for column in columns]
    head = [tag("th", column.head, scope="col", class_=column.style or None) for column in columns]
    body = [
        tag("tr", [tag("td", cell, class_=style) for cell, style in zip(row, styles, strict=True)])
        for row in rows
    ]
    inner = tag("table", tag("thead", tag("tr", head)), tag("tbody", body), id=id_)
    # A region that scrolls must be reachable by keyboard, and then needs a name.
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=label)


def facts(pairs: Iterable[tuple[Child, Child]]) -> Markup:
    """Names and values beside each other; pairs without a value are left out."""
    shown = [
        (tag("dt", name), tag("dd", value)) for name, value in pairs if value not in (None, "")
    ]
    return tag("dl", shown, class_="facts")


def empty(sentence: str, *commands: str) -> Markup:
    """Say that there is nothing yet, and what to do about it."""
    return join(tag("p", sentence, class_="soft"), [command(line) for line in commands])


def command(line: str) -> Markup:
    """A command or some code to copy."""
    return tag("pre", tag("code", line))


def note(*body: Child, kind: str = "") -> Markup:
    """A remark that must not be missed: ``kind`` is "", "warn" or "bad"."""
    role = "alert" if kind == "bad" else None
    return tag("div", *body, class_=f"note {kind}".strip(), role=role)


def crumbs(*steps: Child) -> Markup:
    """Where the page is, as links to what holds it."""
    pieces: list[Child] = []
    for step in steps:
        pieces.extend([" / ", step] if pieces else [step])
    return tag("p", pieces, class_="crumbs")


def more(count: int, shown: int, noun: str) -> Markup | None:
    """Say how many there are beyond those shown."""
    if count <= shown:
        return None
    return tag("p", f"And {count_words(count - shown, f'more {noun}')}.", class_="soft small")


def texts(title: str, values: dict[str, str], nothing: str) -> Markup:
    """Show params or tags by key; ``nothing`` says that there are none."""
    if not values:
        return section(title, empty(nothing))
    return section(title, facts(sorted(values.items())), count=len(values))
