"""Records of tracking: experiments, runs, params, metrics, artifacts, datasets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, overload

from loopline.records.base import Lifecycle, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Artifact",
    "ColumnProfile",
    "Dataset",
    "Experiment",
    "ExperimentPage",
    "Metric",
    "MetricColumns",
    "MetricHistory",
    "MetricSummary",
    "ModelRole",
    "Param",
    "RefusedFact",
    "Run",
    "RunData",
    "RunEvent",
    "RunInput",
    "RunModel",
    "RunPage",
    "RunStatus",
    "RunTable",
    "RunTag",
    "RunUses",
    "ValueCount",
]


class RunStatus(StrEnum):
    """Where a run stands, in MLflow's words."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_terminal(self) -> bool:
        """Whether the run is over."""
        return self in {RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED}


class Experiment(Record, frozen=True, kw_only=True):
    """A named group of runs.

    Attributes:
        experiment_id: Decimal number as text, as MLflow has it; ``"0"`` is ``Default``.
        name: 1 to 500 characters, unique among active and deleted experiments alike.
        created_ms: Unix time in milliseconds.
        updated_ms: Unix time in milliseconds of the last change to the experiment itself.
    """

    experiment_id: str
    name: str
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    created_ms: int
    updated_ms: int
    tags: dict[str, str] = {}

    @property
    def lifecycle_stage(self) -> str:
        """Its lifecycle, as MLflow calls it."""
        return self.lifecycle.value

    @property
    def creation_time(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.created_ms

    @property
    def last_update_time(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.updated_ms


class ExperimentPage(Record, frozen=True, kw_only=True):
    """Some experiments of a search, and where the next ones begin (empty: there are no more)."""

    experiments: list[Experiment]
    next_page_token: str = ""


class Metric(Record, frozen=True):
    """One point of a metric, as logged: MLflow's record, in MLflow's order.

    Attributes:
        key: Metric name, 1 to 250 characters, such as ``"val_mae"``.
        value: In the metric's own unit; NaN and infinities are kept.
        timestamp: Unix time in milliseconds.
        step: Training step, counted from 0.
    """

    key: str
    value: float
    timestamp: int
    step: int = 0

    @property
    def timestamp_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.timestamp


class Param(Record, frozen=True):
    """One param for ``Client.log_batch``: MLflow's record, in MLflow's order."""

    key: str
    value: str


class RunTag(Record, frozen=True):
    """One tag for ``Client.log_batch``: MLflow's record, in MLflow's order."""

    key: str
    value: str


class MetricSummary(Record, frozen=True, kw_only=True):
    """What is known of one metric of one run without reading its history.

    Attributes:
        value: Value at the greatest (step, timestamp, value): MLflow's "latest".
        step: Step of that point.
        timestamp_ms: Unix time in milliseconds of that point.
        min: Least value that is not NaN; NaN when every point is NaN.
        max: Greatest value that is not NaN; NaN when every point is NaN.
        mean: Mean of the values that are not NaN; NaN when every point is NaN.
        count: Points, NaN included. Exact once blocks are merged; until then an identical
            point sent twice may count twice.
        first_step: Least step.
        last_step: Greatest step.
    """

    value: float
    step: int = 0
    timestamp_ms: int
    min: float
    max: float
    mean: float
    count: int
    first_step: int = 0
    last_step: int = 0


class MetricHistory(Record, frozen=True, kw_only=True):
    """The points of one metric of one run, ordered by step, then timestamp, then value.

    Attributes:
        steps: Training steps, n of them.
        timestamps_ms: Unix times in milliseconds, n of them.
        values: Values in the metric's own unit, n of them.
        total: Points there are in all; more than n when the history was reduced for a chart.
    """

    key: str
    steps: list[int]
    timestamps_ms: list[int]
    values: list[float]
    total: int

    def __len__(self) -> int:
        """Number of points here."""
        return len(self.steps)

    def __iter__(self) -> Iterator[Metric]:
        """Give the points one by one, as MLflow's history does; columns are much faster."""
        for step, timestamp_ms, value in zip(
            self.steps, self.timestamps_ms, self.values, strict=True
        ):
            yield Metric(key=self.key, value=value, step=step, timestamp=timestamp_ms)

    @overload
    def __getitem__(self, index: int) -> Metric: ...
    @overload
    def __getitem__(self, index: slice) -> list[Metric]: ...
    def __getitem__(self, index: int | slice) -> Metric | list[Metric]:
        """Give one point, or a list of some, as MLflow's list of points does."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return Metric(
            key=self.key,
            value=self.values[index],
            step=self.steps[index],
            timestamp=self.timestamps_ms[index],
        )


class MetricColumns(Record, frozen=True, kw_only=True):
    """The points of one metric of one run as packed little-endian columns, in their order.

    ``numpy.frombuffer(columns.values)`` reads a million of them at once.

    Attributes:
        steps: n times int64.
        timestamps_ms: n times int64, Unix milliseconds.
        values: n times float64, in the metric's own unit.
        total: Points there are in all; more than n when the history was reduced for a chart.
    """

    key: str
    steps: bytes
    timestamps_ms: bytes
    values: bytes
    total: int


class ValueCount(Record, frozen=True, kw_only=True):
    """How often a value stands in a column.

    Attributes:
        value: As text; what is longer than 80 characters ends in ``…``.
        count: Rows with it; an estimate where ``Dataset.sampled_rows`` is set.
    """

    value: str
    count: int


class ColumnProfile(Record, frozen=True, kw_only=True):
    """What one column of a data version holds.

    Numbers are in the column's own unit, times are ISO 8601 text, long text ends in ``…``.
    What a type has no meaning for is None or empty. NaN counts as null; the infinities are
    counted apart, and mean, deviation and quantiles are those of the finite values.

    Attributes:
        type: Arrow's name for the type, such as ``"double"`` or ``"timestamp[us]"``.
        nulls: Rows without a value.
        infinite: Rows with an infinity.
        min: Least value.
        max: Greatest value.
        mean: Of a yes-or-no column, the share of yes.
        std: Standard deviation of the population; of times, in seconds.
        quantiles: Value at ``"5%"``, ``"25%"``, ``"50%"``, ``"75%"`` and ``"95%"``.
        distinct: Different values; None when not every row was looked at.
        top: Most frequent values that stand more than once, most frequent first; at most 5.
    """

    type: str
    nulls: int = 0
    infinite: int = 0
    min: int | float | str | None = None
    max: int | float | str | None = None
    mean: float | str | None = None
    std: float | None = None
    quantiles: dict[str, float | str] = {}
    distinct: int | None = None
    top: list[ValueCount] = []


class Dataset(Record, frozen=True, kw_only=True):
    """A data version: what the data are, where they came from, and a digest of their content.

    Attributes:
        name: Name such as ``"green taxi 2022-01"``.
        digest: Content digest; equal digests mean equal data.
        source: Where the data came from: a path, URL or query.
        kind: ``"table"``, ``"array"``, ``"file"`` or ``"folder"``; empty when not known.
        rows: Number of rows, or None when not tabular.
        size_bytes: Bytes of the files or the array; None for a table.
        columns: Column names with their types, of the first 500 columns.
        column_count: How many columns there are; None when not tabular.
        profile: What the first 100 columns hold. An array alone has its columns named by their
            number; one of more than two axes has one profile, over all its values.
        profiled_rows: Rows the profile was made of; None: all of them.
        sampled_rows: Rows (values, where an array has no columns), drawn evenly, that quantiles
            and top values rest on; None: all.
        mlflow: What an MLflow store said of it, word for word, by MLflow's names:
            ``"source_type"``, ``"source"``, ``"schema"`` and ``"profile"``.
    """

    name: str
    digest: str
    source: str = ""
    kind: str = ""
    rows: int | None = None
    size_bytes: int | None = None
    columns: dict[str, str] = {}
    column_count: int | None = None
    profile: dict[str, ColumnProfile] = {}
    profiled_rows: int | None = None
    sampled_rows: int | None = None
    mlflow: dict[str, str] = {}


class RunInput(Record, frozen=True, kw_only=True):
    """A data version a run read, and what for (``"training"``, ``"evaluation"``, ...).

    Attributes:
        tags: What else was said of this reading.
    """

    dataset: Dataset
    context: str = ""
    tags: dict[str, str] = {}


class Artifact(Record, frozen=True, kw_only=True):
    """A file of a run, or a folder of them.

    Attributes:
        path: Relative to the run, with ``/`` between its parts.
        sha256: Hash of the content in hex; empty for a folder.
    """

    path: str
    sha256: str = ""
    size_bytes: int = 0
    is_dir: bool = False


class RunData(Record, frozen=True, kw_only=True):
    """Latest metric values, params and tags of a run, under MLflow's names."""

    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


class Run(Record, frozen=True, kw_only=True):
    """One execution of training code.

    Attributes:
        run_id: 32 hex digits, made by the client.
        start_ms: Unix time in milliseconds; 0 for a run known only from facts that came
            before its start.
        end_ms: Unix time in milliseconds, or None while it runs.
        duration_ms: From the owner's monotonic clock, so that a clock jump cannot make it
            negative; None while it runs or when the owner died.
        end_reason: Why it ended, in words, when there is something to say.
        flow_run_id: The flow run it was started in, if any.
        task_slug: The task it was started in, if any.
    """

    run_id: str
    experiment_id: str
    experiment_name: str = ""
    name: str = ""
    status: RunStatus = RunStatus.RUNNING
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    start_ms: int = 0
    end_ms: int | None = None
    duration_ms: int | None = None
    user: str = ""
    end_reason: str = ""
    parent_run_id: str | None = None
    flow_run_id: str | None = None
    task_slug: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: dict[str, MetricSummary] = {}

    @property
    def run_name(self) -> str:
        """Its name, as MLflow calls it."""
        return self.name

    @property
    def run_uuid(self) -> str:
        """Its id, as MLflow once called it."""
        return self.run_id

    @property
    def start_time(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.start_ms

    @property
    def end_time(self) -> int | None:
        """Unix time in milliseconds or None, as MLflow calls it."""
        return self.end_ms

    @property
    def user_id(self) -> str:
        """Who ran it, as MLflow calls it."""
        return self.user

    @property
    def lifecycle_stage(self) -> str:
        """Its lifecycle, as MLflow calls it."""
        return self.lifecycle.value

    @property
    def artifact_uri(self) -> str:
        """Address of its files, as MLflow calls it."""
        return f"runs:/{self.run_id}"

    @property
    def info(self) -> Run:
        """The run itself: ``run.info.run_id`` reads as it does with MLflow."""
        return self

    @property
    def data(self) -> RunData:
        """Latest metric values, params and tags: ``run.data.metrics["rmse"]``."""
        latest = {key: summary.value for key, summary in self.metrics.items()}
        return RunData(metrics=latest, params=self.params, tags=self.tags)


class RunEvent(Record, frozen=True, kw_only=True):
    """One change of a run's status."""

    at_ms: int
    status: RunStatus
    reason: str = ""
    actor: str = ""


class ModelRole(StrEnum):
    """What a logged model is to a run: read by it, or made by it."""

    INPUT = "input"
    OUTPUT = "output"


class RunModel(Record, frozen=True, kw_only=True):
    """A logged model that a run read or made, at a step of the run."""

    model_id: str
    role: ModelRole
    step: int = 0


class RunUses(Record, frozen=True, kw_only=True):
    """What a run read and made: data versions and logged models."""

    run_id: str
    inputs: list[RunInput] = []
    models: list[RunModel] = []


class RunPage(Record, frozen=True, kw_only=True):
    """Some runs of a search, and where the next ones begin (empty: there are no more).

    Attributes:
        uses: What some of the runs read and made, if that was asked for; the others did neither.
    """

    runs: list[Run]
    next_page_token: str = ""
    uses: list[RunUses] = []


class RunTable(Record, frozen=True, kw_only=True):
    """Some runs of a search in columns, n values each; None where a run has none.

    Attributes:
        start_ms: Unix times in milliseconds.
        end_ms: Unix times in milliseconds; None while a run goes on.
        metrics: Latest values by key, each in the metric's own unit.
        params: By key.
        tags: By key.
        next_page_token: Where the next runs begin; empty: there are no more.
    """

    run_ids: list[str] = []
    experiment_ids: list[str] = []
    names: list[str] = []
    statuses: list[RunStatus] = []
    lifecycles: list[Lifecycle] = []
    start_ms: list[int] = []
    end_ms: list[int | None] = []
    metrics: dict[str, list[float | None]] = {}
    params: dict[str, list[str | None]] = {}
    tags: dict[str, list[str | None]] = {}
    next_page_token: str = ""


class RefusedFact(Record, frozen=True, kw_only=True):
    """A journaled record that the store will never take, with the reason.

    Attributes:
        fact: The record as JSON text.
        reason: Why it was refused, with the next step in it.
    """

    run_id: str
    at_ms: int
    fact: str
    reason: str
