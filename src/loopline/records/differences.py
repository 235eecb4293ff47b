"""Records of a comparison: what two runs or model versions rest on, and what differs."""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.environment import Environment
from loopline.records.registry import ModelVersion
from loopline.records.tracking import Run, RunInput

__all__ = [
    "Basis",
    "Change",
    "DataChange",
    "Differences",
    "FileChange",
    "MetricChange",
    "Side",
]


class Basis(Record, frozen=True, kw_only=True):
    """All that a run, and the model version made of it, rests on.

    Attributes:
        version: None when a run was asked for.
        environment: None when none was recorded, as for a run of an MLflow client.
        sources: Text of the kept sources by path.
        uncommitted: What leads from the commit to what ran, as a difference.
        inputs: The data versions that the run read.
        size_bytes: Of the model version, or of all files of the run but what Loopline keeps.
    """

    run: Run
    version: ModelVersion | None = None
    environment: Environment | None = None
    sources: dict[str, str] = {}
    uncommitted: str = ""
    inputs: list[RunInput] = []
    size_bytes: int = 0


class Side(Record, frozen=True, kw_only=True):
    """One of the two that are compared.

    Attributes:
        title: Such as ``"taxifare_model v3"`` or the run's name.
    """

    title: str
    run_id: str
    start_ms: int = 0
    user: str = ""


class Change(Record, frozen=True, kw_only=True):
    """A fact that differs; None where one of the two has none."""

    name: str
    before: str | None = None
    after: str | None = None


class MetricChange(Record, frozen=True, kw_only=True):
    """A metric's latest value that differs; None where one of the two has none.

    Attributes:
        absolute: After minus before, in the metric's own unit.
        relative: ``absolute`` as a part of the size of ``before``; None when that is 0.
    """

    key: str
    before: float | None = None
    after: float | None = None
    absolute: float | None = None
    relative: float | None = None


class FileChange(Record, frozen=True, kw_only=True):
    """A source file that differs, as a unified difference."""

    path: str
    diff: str


class DataChange(Record, frozen=True, kw_only=True):
    """What was read for one purpose, and differs.

    Attributes:
        changes: Digest, source, rows, columns.
        columns: What differs in each column's profile, by its name.
    """

    name: str
    context: str = ""
    changes: list[Change] = []
    columns: dict[str, list[Change]] = {}


class Differences(Record, frozen=True, kw_only=True):
    """What differs between two runs or model versions, and nothing else.

    Attributes:
        code: Commit, branch, command and the like.
        files: Sources.
        environment: Python, machine, variables, and packages by name.
    """

    a: Side
    b: Side
    code: list[Change] = []
    files: list[FileChange] = []
    data: list[DataChange] = []
    environment: list[Change] = []
    params: list[Change] = []
    metrics: list[MetricChange] = []
    duration: Change | None = None
    size: Change | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs but how long it took."""
        return not (
            self.code
            or self.files
            or self.data
            or self.environment
            or self.params
            or self.metrics
            or self.size
        )
