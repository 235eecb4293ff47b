"""Runs that were read of late, so that a page that is asked for again is not decoded again.

A record is remembered under the whole row that it was made of, document included: what it says is
a function of that, so nothing can be out of date, whoever writes. For a server, whose pages look
at the same newest runs all day; nobody there changes what is in a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Row

    from loopline.records.tracking import Run

__all__ = ["RunMemo"]

#: Bytes of documents that are remembered; their records take some ten times as much.
MOST_BYTES = 2**20
#: Pages of more runs are an export, which comes once.
MOST_RUNS = 500


class RunMemo:
    """Remembers records of runs by their rows."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Run] = {}
        self._size_bytes = 0

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
            key = (name, *row)
            run = self._known.get(key)
            if run is None:
                run = make(row, name)
                self._keep(key, row.document, run)
            found.append(run)
        return found

    def _keep(self, key: tuple[Any, ...], document: bytes | None, run: Run) -> None:
        self._size_bytes += len(document or b"")
        if self._size_bytes > MOST_BYTES:
            # Two threads may do so at once, which forgets more than need be and does no harm.
            self._known = {}
            self._size_bytes = len(document or b"")
        self._known[key] = run
