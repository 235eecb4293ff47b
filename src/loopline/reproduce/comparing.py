"""``loopline.diff``: what differs between two runs or model versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.records.base import DRAWN
from loopline.records.differences import Differences
from loopline.reproduce.basis import commits_apart, gather
from loopline.rules.differences import compare
from loopline.tracking.display import box, table_html

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.differences import Change, DataChange

__all__ = ["diff", "differences", "metric_words", "rows_of"]

#: Letters of a value that are shown, and of those before the first that differs.
LONGEST = 60
LEAD = 20


def diff(a: str, b: str) -> Differences:
    """Compare two runs or model versions: code, data, environment, params, metrics, size.

    Args:
        a: A run's id (the first letters are enough) or name, or a version such as
            ``"models:/taxifare_model/3"`` or ``"models:/taxifare_model/Production"``.
        b: The other, in the same words.

    Returns:
        Only what differs; in a notebook it shows as tables.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several runs are meant.

    Example:
        >>> loopline.diff("models:/taxifare_model/2", "models:/taxifare_model/3").metrics
    """
    recorder = get_recorder()
    recorder.catch_up()
    return differences(recorder.backend, a, b)


def differences(backend: Backend, a: str, b: str) -> Differences:
    """Compare two runs or model versions of a store."""
    before, after = gather(backend, a), gather(backend, b)
    return compare(before, after, files=commits_apart(before, after))


def rows_of(found: Differences) -> dict[str, list[tuple[str, str, str, str]]]:
    """Lay out what differs as sections of rows: what, before, after, by how much."""
    rest = [change for change in (found.duration, found.size) if change is not None]
    sections = {
        "Code": [_row(change.name, change) for change in found.code],
        **{_data_title(one): _data_rows(one) for one in found.data},
        "Environment": [_row(change.name, change) for change in found.environment],
        "Params": [_row(change.name, change) for change in found.params],
        "Metrics": [
            (one.key, *metric_words(one.before, one.after, one.absolute, one.relative))
            for one in found.metrics
        ],
        "Other": [_row(change.name, change) for change in rest],
    }
    return {name: rows for name, rows in sections.items() if rows}


def metric_words(
    before: float | None, after: float | None, absolute: float | None, relative: float | None
) -> tuple[str, str, str]:
    """Write two values so that their difference can be seen, and the difference."""
    told = "" if absolute is None else f"{absolute:+.5g}"
    if relative is not None:
        told += f" ({relative * 100:+.3g} %)"
    texts = []
    for digits in (5, 9, 17):
        texts = ["" if value is None else f"{value:.{digits}g}" for value in (before, after)]
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1], told


def _data_title(one: DataChange) -> str:
    return f"Data: {one.name} ({one.context})" if one.context else f"Data: {one.name}"


def _data_rows(one: DataChange) -> list[tuple[str, str, str, str]]:
    rows = [_row(change.name, change) for change in one.changes]
    for name, changes in one.columns.items():
        rows += [_row(f"{name}: {change.name}", change) for change in changes]
    return rows


def _row(name: str, change: Change) -> tuple[str, str, str, str]:
    before, after = (" ".join((text or "").split()) for text in (change.before, change.after))
    if max(len(before), len(after)) > LONGEST:
        # What two long texts have in common says little.
        pairs = enumerate(zip(before, after, strict=False))
        same = next((i for i, (x, y) in pairs if x != y), min(len(before), len(after)))
        start = max(0, same - LEAD)
        before, after = _cut(before, start), _cut(after, start)
    return name, before, after, ""


def _cut(text: str, start: int) -> str:
    shown = f"…{text[start + 1 :]}" if 0 < start < len(text) else text
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _html(found: Differences) -> str:
    heads = ("", found.a.title, found.b.title, "change")
    if found.a.title == found.b.title:
        heads = ("", found.a.run_id[:8], found.b.run_id[:8], "change")
    parts = [
        box(name, "", table_html(heads, rows, numbers=("change",)))
        for name, rows in rows_of(found).items()
    ]
    parts += [
        box("File", one.path, table_html(("",), [(line,) for line in one.diff.splitlines()]))
        for one in found.files
    ]
    note = "" if parts else "nothing differs"
    return box("Differences", f"{found.a.title} → {found.b.title}", *parts, note=note)


DRAWN[Differences] = _html
