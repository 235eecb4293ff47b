"""Predictions as records: a serving process is a run, its predictions are Parquet files of it.

So they travel by the journal, are permitted by experiment, backed up, exported and collected as all
files are. The name of a file tells from when to when its predictions were made; a metric for each
version counts them, a point a file, so that who asks what a version predicted need not list files.
"""

from __future__ import annotations

import re

from loopline.records.base import Record
from loopline.records.tracking import RunStatus

__all__ = [
    "FOLDER",
    "MODEL_TAG",
    "TRUTH_FOLDER",
    "PredictionFile",
    "Predictions",
    "experiment_of",
    "file_name",
    "metric_of",
    "model_of",
    "version_of",
]

#: Folders of a run's files.
FOLDER = "predictions"
TRUTH_FOLDER = "truth"
#: Tag of a run: the model that it serves, or whose truth it brings.
MODEL_TAG = "loopline.serves"

#: Name of the experiment of a model's serving processes, without the model's.
_EXPERIMENTS = "serving/"
#: Metric of a serving process, without the version: rows predicted, by second since its start.
_METRICS = "predictions/v"

_NAME = re.compile(r"(?:predictions|truth)/(\d+)-(\d+)-(\d+)-[0-9a-f]+\.parquet\Z")


class PredictionFile(Record, frozen=True, kw_only=True):
    """What a file's name tells of it.

    Attributes:
        first_ms: Unix time of its first row.
        last_ms: Of its last.
        rows: How many there are.
    """

    first_ms: int
    last_ms: int
    rows: int

    @classmethod
    def parse(cls, path: str) -> PredictionFile | None:
        """Read a file's path in its run; None: it is another kind of file."""
        match = _NAME.match(path)
        if match is None:
            return None
        first, last, rows = (int(part) for part in match.groups())
        return cls(first_ms=first, last_ms=last, rows=rows)


def file_name(folder: str, file: PredictionFile, unique: str) -> str:
    """Write the path of a file in its run; ``unique`` are hex digits."""
    return f"{folder}/{file.first_ms}-{file.last_ms}-{file.rows}-{unique}.parquet"


def experiment_of(model: str) -> str:
    """Name the experiment that holds a model's predictions."""
    return f"{_EXPERIMENTS}{model}"


def model_of(experiment: str) -> str:
    """Name the model whose predictions an experiment holds; empty: it holds none."""
    return experiment.removeprefix(_EXPERIMENTS) if experiment.startswith(_EXPERIMENTS) else ""


def metric_of(version: int | str) -> str:
    """Name the metric that counts what a version predicted."""
    return f"{_METRICS}{version}"


def version_of(metric: str) -> int:
    """Tell which version's predictions a metric counts; 0: none's."""
    number = metric.removeprefix(_METRICS) if metric.startswith(_METRICS) else ""
    is_number = number.isascii() and number.isdecimal() and len(number) < 10  # noqa: PLR2004
    return int(number) if is_number else 0


class Predictions(Record, frozen=True, kw_only=True):
    """What one serving process recorded of what a version predicted.

    Attributes:
        run_id: The serving process.
        name: What the model was served as: the registered model's name.
        version: Its number.
        status: How the process stands; RUNNING: it serves now.
        rows: How many were recorded.
        first_ms: Unix time of the first one, to a second.
        last_ms: Of the last one.
    """

    run_id: str
    name: str
    version: int
    status: RunStatus = RunStatus.RUNNING
    rows: int = 0
    first_ms: int = 0
    last_ms: int = 0
