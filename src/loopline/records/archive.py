"""The archive: a folder that holds experiments, runs, models and files, and says what is in it.

::

    manifest.json        format, counts, and the SHA-256 and length of every other .jsonl file
    experiments.jsonl    an experiment a line
    runs.jsonl           a run a line, with params, tags, inputs, models, files and history
    metrics.jsonl        up to 10,000 points of one metric of one run a line, in their order
    logged_models.jsonl  a logged model a line, with params, tags, points and files
    models.jsonl         a registered model a line, with its versions and their history
    blobs/ab/abcdef…     the bytes of files, named by their SHA-256

Lines are JSON. Numbers that JSON has no word for are the strings ``"NaN"``, ``"Infinity"`` and
``"-Infinity"``. An archive of one store read into another gives the same archive again.
"""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.logged_models import LoggedModel, RunModel
from loopline.records.registry import ModelVersion, RegisteredModel, VersionEvent
from loopline.records.tracking import Artifact, Run, RunEvent, RunInput

__all__ = [
    "BLOBS",
    "FORMAT",
    "LINES",
    "MANIFEST",
    "VERSION",
    "ArchivedFile",
    "LoggedModelLine",
    "Manifest",
    "ModelLine",
    "ModelPoint",
    "PointsLine",
    "RunLine",
    "VersionLine",
]

FORMAT = "loopline archive"
#: Raised when an older Loopline could not read it right.
VERSION = 1
MANIFEST = "manifest.json"
BLOBS = "blobs"
LINES = (
    "experiments.jsonl",
    "runs.jsonl",
    "metrics.jsonl",
    "logged_models.jsonl",
    "models.jsonl",
)


class ArchivedFile(Record, frozen=True, kw_only=True):
    """One of the archive's own files."""

    path: str
    sha256: str
    size_bytes: int


class Manifest(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What an archive holds.

    Attributes:
        counts: How many of what, for people.
        left_out: What the store has and an archive does not, for people.
    """

    format: str = FORMAT
    version: int = VERSION
    loopline_version: str = ""
    created_ms: int = 0
    counts: dict[str, int] = {}
    left_out: list[str] = []
    files: list[ArchivedFile] = []


class RunLine(Record, frozen=True, kw_only=True):
    """A run; the summaries of its metrics are left out, for its points are there."""

    run: Run
    artifacts: list[Artifact] = []
    inputs: list[RunInput] = []
    models: list[RunModel] = []
    events: list[RunEvent] = []


class PointsLine(Record, frozen=True, kw_only=True):
    """Points of a metric: columns of equal length."""

    run_id: str
    key: str
    steps: list[int]
    timestamps_ms: list[int]
    values: list[float | str]


class ModelPoint(Record, frozen=True, kw_only=True):
    """A point that a run measured on a logged model."""

    key: str
    value: float | str
    step: int = 0
    timestamp_ms: int
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModelLine(Record, frozen=True, kw_only=True):
    """A logged model; its points stand beside it, for they may have no number in JSON."""

    model: LoggedModel
    points: list[ModelPoint] = []
    files: list[Artifact] = []


class VersionLine(Record, frozen=True, kw_only=True):
    """A version; its metrics stand beside it, for they may have no number in JSON."""

    version: ModelVersion
    metrics: dict[str, float | str] = {}
    files: list[Artifact] = []


class ModelLine(Record, frozen=True, kw_only=True):
    """A registered model."""

    model: RegisteredModel
    versions: list[VersionLine] = []
    events: list[VersionEvent] = []
