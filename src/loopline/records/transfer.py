"""Records of moving whole stores: what an import asks and settles, and what it reports."""

from __future__ import annotations

from loopline.records.base import Lifecycle, Record
from loopline.records.logged_models import LoggedModel, RunModel
from loopline.records.tracking import Artifact, Run, RunEvent, RunInput, RunStatus

__all__ = [
    "Exported",
    "LeftOut",
    "LoggedModelDescription",
    "Report",
    "Row",
    "RunDescription",
    "RunSettlement",
]


class RunDescription(Record, frozen=True, kw_only=True):
    """Everything a store has of a run but the points of its metrics.

    Attributes:
        artifacts: Every file, by path.
        models: Logged models that it read or made.
        writers: Ids of the writers that answer for the run's being alive.
    """

    run: Run
    artifacts: list[Artifact] = []
    inputs: list[RunInput] = []
    models: list[RunModel] = []
    events: list[RunEvent] = []
    writers: list[str] = []


class LoggedModelDescription(Record, frozen=True, kw_only=True):
    """Everything a store has of a logged model, with every file by path."""

    model: LoggedModel
    files: list[Artifact] = []


class RunSettlement(Record, frozen=True, kw_only=True):
    """How a run ended elsewhere, set as it was there: no clock is asked, nothing is corrected.

    Attributes:
        start_ms: Unix time in milliseconds; None leaves it as it is.
        end_ms: Unix time in milliseconds; None when it never ended.
        events: The whole history of its status; empty leaves what there is.
    """

    run_id: str
    status: RunStatus
    lifecycle: Lifecycle
    start_ms: int | None = None
    end_ms: int | None = None
    duration_ms: int | None = None
    end_reason: str = ""
    events: list[RunEvent] = []


class Row(Record, frozen=True, kw_only=True):
    """One line of the final count.

    Attributes:
        source: How many the source has.
        new: How many of them this import added, or would have.
        here: How many of them are here afterwards, with equal values.
    """

    what: str
    source: int
    new: int
    here: int


class LeftOut(Record, frozen=True, kw_only=True):
    """Something of the source that an import does not take, with the reason.

    Attributes:
        is_missing: Whether it has a place here and only could not be had.
    """

    what: str
    count: int
    why: str
    is_missing: bool = False


class Report(Record, frozen=True, kw_only=True):
    """The outcome of an import.

    Attributes:
        equal: Whether all that could be imported is here, with equal values.
        rows: The final count of everything.
        left_out: What Loopline has no place for, or could not reach.
        differences: Where source and store differ, in words; at most twenty.
        more_differences: How many more there are.
        experiment_ids: Id here per id in the source, where they differ.
        seconds: How long it took.
    """

    source: str
    target: str
    dry_run: bool = False
    equal: bool
    rows: list[Row]
    left_out: list[LeftOut] = []
    differences: list[str] = []
    more_differences: int = 0
    experiment_ids: dict[str, str] = {}
    seconds: float = 0.0


class Exported(Record, frozen=True, kw_only=True):
    """What was written.

    Attributes:
        files: Folder of the files; empty when none were written.
        mlflow_version: Whose schema it is; newer ones migrate it when they open it.
        counts: How many of what.
        left_out: What MLflow has no place for, and how often.
    """

    database: str
    files: str = ""
    mlflow_version: str
    counts: dict[str, int] = {}
    left_out: dict[str, int] = {}
