"""Records of lineage: who used a data version, where its bytes are, and the graph of it all."""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.registry import Stage
from loopline.records.tracking import Artifact, Dataset, RunStatus

__all__ = [
    "DataUses",
    "DatasetSnapshot",
    "Lineage",
    "LineageEdge",
    "LineageNode",
    "ReadDataset",
    "RunUse",
    "VersionUse",
]


class RunUse(Record, frozen=True, kw_only=True):
    """A run that read a data version.

    Attributes:
        name: The run's name.
        contexts: What it read the data for, such as ``"training"``; alphabetical.
        dataset: Name under which it logged the data; several joined with commas.
        start_ms: Unix time in milliseconds.
    """

    run_id: str
    name: str = ""
    experiment_name: str = ""
    status: RunStatus = RunStatus.RUNNING
    start_ms: int = 0
    contexts: list[str] = []
    dataset: str = ""


class VersionUse(Record, frozen=True, kw_only=True):
    """A model version made by a run that read a data version.

    Attributes:
        name: Name of the registered model.
        run_id: The run that made it and read the data.
        contexts: What that run read the data for; alphabetical.
    """

    name: str
    version: int
    stage: Stage = Stage.NONE
    run_id: str
    contexts: list[str] = []


class DataUses(Record, frozen=True, kw_only=True):
    """The runs and the model versions that used a data version; deleted runs are left out.

    Attributes:
        digests: The whole digests that were found, of those asked for.
        datasets: The data version, once under each name it was logged under.
        runs: Newest first; at most as many as asked for.
        versions: By model and version, newest version first; at most as many as asked for.
        run_count: How many entries ``runs`` would have without the limit.
        version_count: How many entries ``versions`` would have without the limit.
    """

    digests: list[str] = []
    datasets: list[Dataset] = []
    runs: list[RunUse] = []
    versions: list[VersionUse] = []
    run_count: int = 0
    version_count: int = 0


class ReadDataset(Record, frozen=True, kw_only=True):
    """A data version that runs of an experiment read, and what for (empty: not said)."""

    experiment_id: str
    name: str
    digest: str
    context: str = ""


class DatasetSnapshot(Record, frozen=True, kw_only=True):
    """The kept bytes of a data version: files of a run that read it.

    Attributes:
        dataset: The data version.
        run_id: The run whose artifacts the files are.
        folder: Where they lie among the run's artifacts.
        files: With paths relative to ``folder``.
    """

    dataset: Dataset
    run_id: str
    folder: str
    files: list[Artifact]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)


class LineageNode(Record, frozen=True, kw_only=True):
    """Something that came of something, or that something came of.

    Attributes:
        node: Its name in the graph: kind, colon, key, such as ``"version:taxifare_model/3"``.
        kind: ``"flow"``, ``"schedule"``, ``"flow run"``, ``"task run"``, ``"run"``, ``"data"``,
            ``"version"``, ``"decision"``, ``"stage"``, ``"deployment"``, ``"predictions"``,
            ``"drift"`` or ``"feed"``; more may come.
        key: Within its kind.
        title: What people call it.
        state: How it stands, such as ``"FINISHED"``; empty where there is no such thing.
        at_ms: Unix time in milliseconds of its beginning; 0: not known.
        has_more_up: Whether more leads to it than is told here.
        has_more_down: Whether more comes of it than is told here.
    """

    node: str
    kind: str
    key: str
    title: str
    state: str = ""
    at_ms: int = 0
    has_more_up: bool = False
    has_more_down: bool = False


class LineageEdge(Record, frozen=True, kw_only=True):
    """One thing led to another.

    Attributes:
        source: What led.
        target: What came of it.
        label: How, such as ``"training"`` or ``"made"``.
    """

    source: str
    target: str
    label: str = ""


class Lineage(Record, frozen=True, kw_only=True):
    """The part of the graph around a node that the caller may view.

    Attributes:
        root: The node that was asked for.
        nodes: The root first, then by distance.
        edges: Between these nodes, from what led to what came of it.
    """

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out for depth or number."""
        return not any(one.has_more_up or one.has_more_down for one in self.nodes)
