"""Runs that were read of late, so that a page that is asked for again is not decoded again.

A record is remembered with the whole row that it was made of, document included: what it says is
a function of that, so nothing can be out of date, whoever writes. For a server, whose pages look
at the same newest runs all day; nobody there changes what is in a record.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Row

    from loopline.records.tracking import Run

__all__ = ["RunMemo"]

#: Bytes of records and their rows that are remembered, about.
MOST_BYTES = 8 * 2**20
#: What one of them takes, beside that of its document; and how much that takes, decoded and not.
RECORD_BYTES = 1024
DOCUMENT_TIMES = 7
#: Pages of more runs are an export, which comes once.
MOST_RUNS = 500


class RunMemo:
    """Remembers records of runs by their rows: of each run the last one."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[Any, ...], Run]] = {}
        self._size_bytes = 0
        self._changing = threading.Lock()

    def records(
        self,
        rows: Sequence[Row[Any]],
        names: Mapping[int, str],
        make: Callable[[Row[Any], str], Run],
    ) -> list[Run]:
        """Get the records of rows, given the names of their experiments.

        Args:
            rows: Of ``documents.RUNS``.
            names: By the experiment's number.
            make: Makes the record of a row that is not known.
        """
        if len(rows) > MOST_RUNS:
            return [make(row, names[row.experiment_id]) for row in rows]
        found = []
        for row in rows:
            name = names[row.experiment_id]
            shown = (name, *row)
            known = self._known.get(row.pk)
            if known is None or known[0] != shown:
                known = shown, make(row, name)
                self._keep(row.pk, known)
            found.append(known[1])
        return found

    def _keep(self, pk: int, known: tuple[tuple[Any, ...], Run]) -> None:
        """Remember a record in the place of the run's last one."""
        with self._changing:
            self._size_bytes += _size_of(known) - _size_of(self._known.get(pk))
            if self._size_bytes > MOST_BYTES:
                self._known = {}
                self._size_bytes = _size_of(known)
            self._known[pk] = known


def _size_of(known: tuple[tuple[Any, ...], Run] | None) -> int:
    """Tell about how many bytes a record and its row take."""
    if known is None:
        return 0
    document: bytes | None = known[0][-1]  # The last column of ``documents.RUNS``.
    return RECORD_BYTES + DOCUMENT_TIMES * len(document or b"")
