"""What every source of an import gives: one protocol for folders, databases, servers, archives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from loopline.errors import LooplineError
from loopline.records.base import Lifecycle
from loopline.records.registry import Stage, VersionEvent, VersionStatus
from loopline.records.tracking import RunEvent, RunInput, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopline.records.logged_models import LoggedModel, RunModel
    from loopline.rules.points import Points

__all__ = [
    "Note",
    "Place",
    "Series",
    "Source",
    "SourceExperiment",
    "SourceFile",
    "SourceLoggedModel",
    "SourceModel",
    "SourceRun",
    "SourceVersion",
    "UnreachableError",
]


class UnreachableError(LooplineError):
    """Files lie where this process cannot read them; the message says how to get them."""


@dataclass(frozen=True)
class Note:
    """Something of the source that is not imported, or not as it was.

    Attributes:
        what: Such as ``"traces"``.
        count: How many of them.
        why: The reason, with the next step when there is one.
        is_missing: Whether it has a place here and only could not be had.
    """

    what: str
    count: int
    why: str
    is_missing: bool = False


class SourceFile(NamedTuple):
    """A file to import.

    Attributes:
        path: Where it lies below its place, with ``/`` between the parts.
        size_bytes: Its length, or None when only reading tells.
        at_ms: When it was written, Unix time in milliseconds; 0 when nobody knows.
        local: Where it can be read on this machine.
        fetch: Otherwise: writes it to a path on this machine.
        sha256: Hash of its content in hex where the source knows it.
    """

    path: str
    size_bytes: int | None = None
    at_ms: int = 0
    local: Path | None = None
    fetch: Callable[[Path], None] | None = None
    sha256: str = ""


class Place(Protocol):
    """A folder of files, wherever it lies."""

    def files(self) -> Iterator[SourceFile]:
        """List every file below it, by path.

        Raises:
            UnreachableError: They cannot be read from here.
        """
        ...


class Series(NamedTuple):
    """All points of one metric of one run, ordered, each (step, timestamp, value) once.

    Attributes:
        repeated: How often a point stood there again.
    """

    run_id: str
    key: str
    points: Points
    repeated: int = 0


@dataclass(frozen=True, kw_only=True)
class SourceExperiment:
    """An experiment of the source; its id there need not be the one it gets here."""

    experiment_id: str
    name: str
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    created_ms: int = 0
    updated_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceLoggedModel:
    """A logged model, with the id of its experiment in the source.

    Attributes:
        place: Where its files lie; None when it has none.
    """

    model: LoggedModel
    place: Place | None = None


@dataclass(frozen=True, kw_only=True)
class SourceRun:
    """A run without its points and files.

    Attributes:
        start_ms: Unix time in milliseconds, or None when the source has none.
        place: Where its files lie; None when it has none.
        models: Logged models that it read or made.
        events: Changes of status, when the source keeps them.
    """

    run_id: str
    experiment_id: str
    name: str = ""
    status: RunStatus = RunStatus.RUNNING
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    start_ms: int | None = None
    end_ms: int | None = None
    duration_ms: int | None = None
    end_reason: str = ""
    user: str = ""
    parent_run_id: str | None = None
    flow_run_id: str | None = None
    task_slug: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[RunInput] = field(default_factory=list)
    place: Place | None = None
    models: list[RunModel] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class SourceVersion:
    """A version of a registered model.

    Attributes:
        run_id: The run that made it; empty when the source names none.
        run_path: Its folder among that run's files; empty when it lies elsewhere.
        model_id: The logged model it was made from, if any.
        place: Where its files lie when they are not a run's.
        source: Where it lay, in the source's own words; so ``run_link``.
        is_exact: The files are those at ``place``, whatever the run has.
        metrics: Of the run when it was registered, when the source keeps them; so ``params``.
    """

    version: int
    created_ms: int
    updated_ms: int
    stage: str = Stage.NONE.value
    description: str = ""
    user: str = ""
    run_id: str = ""
    run_path: str = ""
    model_id: str = ""
    place: Place | None = None
    is_exact: bool = False
    source: str = ""
    run_link: str = ""
    status: VersionStatus = VersionStatus.READY
    status_message: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] | None = None
    params: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A registered model with its versions.

    Attributes:
        latest_version: The last number used, that of a deleted version included.
        champions: Version per stage that ``models:/name/Stage`` means.
        stages: Its own beside the four, and what MLflow's clients are told of each.
        events: The history of its versions, when the source keeps one.
    """

    name: str
    created_ms: int
    updated_ms: int
    description: str = ""
    latest_version: int = 0
    aliases: dict[str, int] = field(default_factory=dict)
    champions: dict[str, int] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    versions: list[SourceVersion] = field(default_factory=list)
    events: list[VersionEvent] = field(default_factory=list)


class Source(Protocol):
    """A store to import from. It is only ever read."""

    @property
    def name(self) -> str:
        """What to call it: an address without passwords."""
        ...

    @property
    def identity(self) -> str:
        """What it is the same store by, run after run."""
        ...

    def experiments(self) -> list[SourceExperiment]:
        """List the experiments, deleted ones too."""
        ...

    def count_runs(self, experiment: SourceExperiment) -> int:
        """Count the runs of an experiment for the progress bar; 0 when only reading tells."""
        ...

    def runs(self, experiment: SourceExperiment, together: int) -> Iterator[list[SourceRun]]:
        """Read the runs of an experiment, deleted ones too, some at a time."""
        ...

    def series(self, runs: list[SourceRun]) -> Iterator[Series]:
        """Read every metric of some runs, one series at a time."""
        ...

    def logged_models(
        self, experiment: SourceExperiment, together: int
    ) -> Iterator[list[SourceLoggedModel]]:
        """Read the logged models of an experiment, deleted ones too, some at a time."""
        ...

    def counts(self) -> dict[str, int]:
        """Count again what was read, by another way than reading it; empty when there is none."""
        ...

    def models(self) -> list[SourceModel]:
        """Read the registry."""
        ...

    def notes(self) -> list[Note]:
        """Say what is there that an import cannot take; asked last."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
