"""Predictions as records: a serving process is a run, its predictions are Parquet files of it.

So they travel by the journal, are permitted by experiment, backed up, exported and collected as all
files are, and the store needs to know nothing more. The name of a file tells from when to when its
predictions were made.
"""

from __future__ import annotations

import re

from loopline.records.base import Record

__all__ = ["FOLDER", "MODEL_TAG", "TRUTH_FOLDER", "PredictionFile", "experiment_of", "file_name"]

#: Folders of a run's files.
FOLDER = "predictions"
TRUTH_FOLDER = "truth"
#: Tag of a run: the model that it serves, or whose truth it brings.
MODEL_TAG = "loopline.serves"

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
    return f"serving/{model}"
