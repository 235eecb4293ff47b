"""The story of a demo run: a line for each month, its table, its picture and its sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from loopline.demo.incident import Incident
from loopline.demo.live import Served
from loopline.records.base import Record
from loopline.rules.charts import Mark, Series, line_chart
from loopline.rules.text_charts import text_chart

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["MonthLine", "Story", "draw_picture", "draw_text", "make_table", "sum_up"]

PRODUCTION = "Production model"
CHALLENGER = "challenger, trained on the two months before"


class MonthLine(Record, frozen=True, kw_only=True):
    """What happened in a month.

    Attributes:
        month: Such as ``"2022-03"``.
        rows: Trips it was scored on, after cleaning.
        cleaning: What cleaning took away, and why, in words.
        production: Fare error of the model in Production, RMSE in dollars; None: there was none.
        challenger: Fare error of the new model; None: there was nothing to train on.
        challenger_version: Version of the new model.
        decision: What was decided, and why, in words.
        promoted: Whether the new model went to Production.
        version: The version in Production afterwards.
        drift: How the month differs from what the model in Production learned, in words; None:
            there was no such model.
        drifted: What differs, of the trips, fares, predictions and errors.
        worse_by: Part by which the Production model's error lies above that of its promotion.
        alarm: The model went stale: its error rose by more than a fifth, and drifted.
    """

    month: str
    rows: int
    cleaning: str = ""
    production: float | None = None
    challenger: float | None = None
    challenger_version: int | None = None
    decision: str
    promoted: bool = False
    version: int | None = None
    drift: str | None = None
    drifted: list[str] = msgspec.field(default_factory=list)
    worse_by: float | None = None
    alarm: bool = False


class Story(Record, frozen=True, kw_only=True):
    """A whole demo run.

    Attributes:
        origin: What the trips are, such as ``"simulated city"``.
        is_simulated: Whether they were made up.
        model: ``"sklearn"`` or ``"keras"``.
        model_name: In the registry.
        home: Folder with everything that was recorded.
        run_id: The run that holds the errors over time and the picture.
        picture: File of the picture.
        seconds: How long it took.
        summary: The story in a sentence or two.
        months: In order.
        served: What came of serving meanwhile; None: nothing was served.
        incident: The bad model that was forced in and rolled back; None: there was none.
    """

    origin: str
    is_simulated: bool
    model: str
    model_name: str
    home: str
    run_id: str = ""
    picture: str = ""
    seconds: float = 0.0
    summary: str = ""
    months: list[MonthLine]
    served: Served | None = None
    incident: Incident | None = None


def make_table(story: Story) -> Table:
    """Lay the story out as the one table a person reads."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"Fare error month by month: {story.origin}, RMSE in dollars",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("month", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("Production", justify="right", no_wrap=True)
    table.add_column("challenger", justify="right", no_wrap=True)
    table.add_column("drift")
    table.add_column("decision")
    table.add_column("version", justify="right", no_wrap=True)
    for line in story.months:
        table.add_row(
            line.month,
            f"{line.rows:,}",
            _dollars(line.production),
            _dollars(line.challenger),
            _drift(line),
            line.decision,
            f"v{line.version}" if line.version else "none",
            style="green" if line.promoted else None,
        )
    return table


def draw_picture(story: Story) -> str:
    """Draw the errors over time as SVG."""
    label = " (SIMULATED CITY)" if story.is_simulated else ""
    marks = [
        Mark(x=index, label=f"v{line.version} promoted")
        for index, line in enumerate(story.months)
        if line.promoted
    ]
    alarm = next((index for index, line in enumerate(story.months) if line.alarm), None)
    if alarm is not None:
        marks = sorted([*marks, Mark(x=alarm, label="alarm")], key=lambda mark: mark.x)
    return line_chart(
        _lines(story),
        title=f"Fare error of the model in Production and of its challenger{label}",
        description=f"{story.summary} Trips: {story.origin}.",
        x_label=f"month of trips: {story.origin}",
        y_label="RMSE, dollars",
        x_names=[line.month for line in story.months],
        marks=marks,
        show_values=True,
    )


def draw_text(story: Story, *, width: int, only_ascii: bool = False) -> str:
    """Draw the errors over time in letters."""
    chart = text_chart(
        _lines(story),
        x_names=[line.month for line in story.months],
        width=width,
        only_ascii=only_ascii,
    )
    return f"Fare error, RMSE in dollars: {story.origin}\n{chart}"


def sum_up(months: list[MonthLine], origin: str) -> str:
    """Tell the story in a sentence or two, from the numbers alone."""
    scored = [line for line in months if line.production is not None]
    if not scored:
        return f"{origin[:1].upper()}{origin[1:]}: no model was in Production yet."
    worst = max(scored, key=lambda line: line.production or 0.0)
    first, last = scored[0], scored[-1]
    promoted = [f"v{line.version} in {line.month}" for line in months if line.promoted]
    moved = ", ".join(promoted) or "nothing"
    return (
        f"{origin[:1].upper()}{origin[1:]}: the Production model was off by "
        f"{_dollars(first.production)} dollars in {first.month}, {_dollars(worst.production)} in "
        f"{worst.month} at its worst, and {_dollars(last.production)} in {last.month}. "
        f"Promoted: {moved}."
    )


def _lines(story: Story) -> list[Series]:
    def heights(values: list[float | None]) -> list[float]:
        return [math.nan if value is None else value for value in values]

    production = heights([line.production for line in story.months])
    challenger = heights([line.challenger for line in story.months])
    return [
        Series(label=PRODUCTION, values=production),
        Series(label=CHALLENGER, values=challenger),
    ]


def _drift(line: MonthLine) -> str:
    """Say in a cell's few words what drifted."""
    if line.drift is None:
        return "-"
    names = ", ".join(line.drifted[:3]) + (", …" if len(line.drifted) > 3 else "")  # noqa: PLR2004
    return f"ALARM: {names}" if line.alarm else names or "none"


def _dollars(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
