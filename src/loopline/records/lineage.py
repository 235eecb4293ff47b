"""Records of lineage: who used a data version, and where its bytes are kept."""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.registry import Stage
from loopline.records.tracking import Artifact, Dataset, RunStatus

__all__ = ["DataUses", "DatasetSnapshot", "ReadDataset", "RunUse", "VersionUse"]


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
