"""Who used a data version: the runs that read it and the model versions they made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.data.buckets import is_bucket_url
from loopline.data.formats import format_of
from loopline.data.sources import FileSource
from loopline.data.versions import HeldDataset, dataset
from loopline.errors import InvalidInputError
from loopline.records.operations import GetDataUses
from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    from loopline.records.lineage import DataUses

__all__ = ["digests_of", "uses"]

_DIGEST = re.compile(r"[0-9a-f]{8,64}\Z")


def uses(which: Any, *, limit: int = 1000) -> DataUses:  # noqa: ANN401 - see ``dataset``
    """Tell which runs and which model versions used a data version.

    Args:
        which: A data version, its digest (8 or more digits are enough), or the data themselves:
            anything ``dataset`` takes. The path of a table also finds the runs that logged the
            table as it is read from that file.
        limit: At most so many runs and so many model versions.

    Raises:
        NotFoundError: Several data versions begin with these digits.
        InvalidInputError: It is neither data nor a digest.
    """
    return get_recorder().call(GetDataUses(digests=digests_of(which), limit=limit))


def digests_of(which: Any) -> list[str]:  # noqa: ANN401
    """Tell the digests under which data may have been logged."""
    if isinstance(which, str) and not is_bucket_url(which) and not Path(which).exists():
        if _DIGEST.match(which):
            return [which]
        msg = (
            f"{which[:200]!r} is neither a path that exists nor a digest. Digests are shown on a "
            "run's page, and by `loopline data describe PATH`."
        )
        raise InvalidInputError(msg)
    if isinstance(which, Dataset) and not isinstance(which, HeldDataset):
        return [which.digest]
    version = which if isinstance(which, HeldDataset) else dataset(which, profile=False)
    return [version.digest, *_digest_of_table(version)]


def _digest_of_table(version: HeldDataset) -> list[str]:
    """Hash the table in a file, for the runs that logged what they read from it."""
    held = version.held
    if not isinstance(held, FileSource) or format_of(held.label) not in {"parquet", "arrow"}:
        return []
    try:
        import pyarrow as pa
    except ImportError:
        return []
    try:
        return [held.table_digest()]
    except (pa.ArrowException, OSError):
        return []  # Not a table, whatever its name says.
