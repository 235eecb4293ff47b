"""How notebooks show runs and experiments: small tables, every text escaped.

Styles stand in the elements themselves, for notebooks drop style sheets; colours mix with the
page's own text colour, so they are right on light and dark alike.
"""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

from loopline.records.tracking import RunStatus
from loopline.rules.shown import frequent_keys
from loopline.rules.words import (
    count_words,
    distance_words,
    duration_words,
    number_words,
    time_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopline.records.tracking import Experiment, Run
    from loopline.tracking.run import ActiveRun

__all__ = [
    "active_run_html",
    "box",
    "experiment_html",
    "experiments_html",
    "facts_html",
    "run_html",
    "runs_html",
    "table_html",
]

#: Rows and columns that a table in a notebook shows.
ROWS = 50
METRICS = 6
PARAMS = 4
FACTS = 20
LETTERS = 80

_FAINT = "opacity:.65"
_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top"
_NUMBER = "padding:2px 10px 2px 0;text-align:right;font-variant-numeric:tabular-nums"
#: Colours of mean lightness, whose contrast suffices on white and on black.
_STATUS = {
    RunStatus.RUNNING: "#2f7fe0",
    RunStatus.FINISHED: "#2a9154",
    RunStatus.FAILED: "#d9483b",
    RunStatus.KILLED: "#b9770e",
    RunStatus.SCHEDULED: "#7f7f7f",
}


def box(kind: str, title: str, *parts: str, note: str = "") -> str:
    """Put finished HTML below a title; ``kind``, ``title`` and ``note`` are escaped here."""
    faint = f' <span style="{_FAINT}">{escape(note)}</span>' if note else ""
    head = (
        f'<div style="margin-bottom:4px"><span style="{_FAINT}">{escape(kind)}</span> '
        f"<b>{escape(_short(title))}</b>{faint}</div>"
    )
    return (
        '<div class="loopline" style="font-size:13px;line-height:1.45;margin:4px 0;padding:6px '
        '10px;border-left:3px solid rgba(127,127,127,.5)">' + head + "".join(parts) + "</div>"
    )


def facts_html(facts: Iterable[tuple[str, str]], *, head: str = "") -> str:
    """Make a table of names and values, both escaped; empty values are left out."""
    rows = [(name, value) for name, value in facts if value]
    if not rows:
        return ""
    body = "".join(
        f'<tr><td style="{_CELL};{_FAINT}">{escape(_short(name))}</td>'
        f'<td style="{_CELL};overflow-wrap:anywhere">{escape(_short(value))}</td></tr>'
        for name, value in rows[:FACTS]
    )
    more = len(rows) - FACTS
    rest = f'<div style="{_FAINT}">and {more:,} more</div>' if more > 0 else ""
    title = f'<div style="{_FAINT};margin-top:4px">{escape(head)}</div>' if head else ""
    return f'{title}<table style="border-collapse:collapse;margin:0">{body}</table>{rest}'


def table_html(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numbers: Iterable[str] = (),
    total: int | None = None,
) -> str:
    """Make a table; cells are escaped, but for a ``Colored`` one, which escapes its own text."""
    right = set(numbers)
    head = "".join(
        f'<th style="{_NUMBER if name in right else _CELL};font-weight:600">'
        f"{escape(_short(name))}</th>"
        for name in columns
    )
    body = "".join(
        '<tr style="border-top:1px solid rgba(127,127,127,.25)">'
        + "".join(
            f'<td style="{_NUMBER if name in right else _CELL}">{_cell(cell)}</td>'
            for name, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows[:ROWS]
    )
    count = len(rows) if total is None else total
    more = f'<div style="{_FAINT}">and {count - ROWS:,} more</div>' if count > ROWS else ""
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}"
    )


class Colored:
    """A text in a colour of ours."""

    def __init__(self, text: str, colour: str) -> None:
        self.html = f'<span style="color:{colour}">● {escape(text)}</span>'


def run_html(run: Run) -> str:
    """Show a run: what it is, its metrics and its params."""
    about = facts_html(
        [
            ("id", run.run_id),
            ("experiment", run.experiment_name or run.experiment_id),
            ("reason", run.end_reason),
            ("started", time_words(run.start_ms)),
            ("took", duration_words(run.duration_ms)),
            ("user", run.user),
            ("parent", run.parent_run_id or ""),
        ]
    )
    metrics = facts_html(
        (
            (
                key,
                number_words(one.value)
                + (
                    f"  (of {one.count:,} points from {number_words(one.min)} to "
                    f"{number_words(one.max)})"
                    if one.count > 1
                    else ""
                ),
            )
            for key, one in sorted(run.metrics.items())
        ),
        head="metrics",
    )
    params = facts_html(sorted(run.params.items()), head="params")
    tags = facts_html(
        ((key, value) for key, value in sorted(run.tags.items()) if not key.startswith("mlflow.")),
        head="tags",
    )
    note = run.tags.get("mlflow.note.content", "")
    said = f'<div style="white-space:pre-wrap">{escape(note[:1000])}</div>' if note else ""
    return box("Run", run.name or run.run_id, _status(run).html, said, about, metrics, params, tags)


def active_run_html(run: ActiveRun) -> str:
    """Show a run that is being recorded, without asking the store."""
    about = facts_html(
        [
            ("id", run.run_id),
            ("experiment", run.experiment_name),
            ("started", time_words(run.start_ms)),
        ]
    )
    colour = Colored(run.status.value, _STATUS[run.status])
    return box("Run", run.name or run.run_id, colour.html, about)


def runs_html(runs: Sequence[Run]) -> str:
    """Show runs as a table: the metrics and params that most of them have."""
    metrics = frequent_keys((run.metrics for run in runs), METRICS)
    params = frequent_keys((run.params for run in runs), PARAMS)
    now_ms = time.time_ns() // 1_000_000
    rows = [
        (
            run.name or run.run_id,
            run.run_id[:8],
            _status(run),
            distance_words(run.start_ms, now_ms),
            *(
                number_words(run.metrics[key].value) if key in run.metrics else ""
                for key in metrics
            ),
            *(run.params.get(key, "") for key in params),
        )
        for run in runs[:ROWS]
    ]
    columns = ("run", "id", "status", "started", *metrics, *params)
    return box(
        count_words(len(runs), "run"),
        "",
        table_html(columns, rows, numbers=metrics, total=len(runs)) if rows else "",
    )


def experiment_html(experiment: Experiment) -> str:
    """Show an experiment."""
    about = facts_html(
        [
            ("id", experiment.experiment_id),
            ("created", time_words(experiment.created_ms)),
            ("last change", time_words(experiment.updated_ms)),
        ]
    )
    tags = facts_html(sorted(experiment.tags.items()), head="tags")
    note = "deleted" if experiment.lifecycle == "deleted" else ""
    return box("Experiment", experiment.name, about, tags, note=note)


def experiments_html(experiments: Sequence[Experiment]) -> str:
    """Show experiments as a table."""
    now_ms = time.time_ns() // 1_000_000
    rows = [
        (
            one.name,
            one.experiment_id,
            distance_words(one.updated_ms, now_ms),
            ", ".join(f"{key}={value}" for key, value in sorted(one.tags.items())),
        )
        for one in experiments[:ROWS]
    ]
    table = table_html(("experiment", "id", "last change", "tags"), rows, total=len(experiments))
    return box(count_words(len(experiments), "experiment"), "", table if rows else "")


def _status(run: Run) -> Colored:
    said = run.status.value + (", deleted" if run.lifecycle == "deleted" else "")
    return Colored(said, _STATUS[run.status])


def _cell(cell: Any) -> str:  # noqa: ANN401
    return cell.html if isinstance(cell, Colored) else escape(_short(str(cell)))


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
