"""Counting what an import finds, on both sides."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loopline.records.transfer import LeftOut, Report, Row

if TYPE_CHECKING:
    from loopline.transfer.source import Note

__all__ = ["Tally"]

#: Rows in the order they are shown.
WHAT = (
    "experiments",
    "experiment tags",
    "runs",
    "deleted runs",
    "params",
    "tags",
    "metrics",
    "metric points",
    "inputs",
    "links to logged models",
    "logged models",
    "logged model params",
    "logged model tags",
    "logged model points",
    "files",
    "file bytes",
    "registered models",
    "model tags",
    "model versions",
    "version tags",
    "version stages",
    "version files",
    "aliases",
)
#: Differences told one by one; the rest is counted.
MOST_TOLD = 20


class Tally:
    """Counts while an import goes on."""

    def __init__(self) -> None:
        self._source: dict[str, int] = {}
        self._new: dict[str, int] = {}
        self._here: dict[str, int] = {}
        self._notes: dict[Note, int] = {}
        self._differences: list[str] = []
        self._more = 0

    def count(self, what: str, source: int, here: int, new: int = 0) -> None:
        """Add to a row."""
        self._source[what] = self._source.get(what, 0) + source
        self._here[what] = self._here.get(what, 0) + here
        self._new[what] = self._new.get(what, 0) + new

    def of_source(self, what: str) -> int:
        """Tell how many the source had, as counted so far."""
        return self._source.get(what, 0)

    def differ(self, sentence: str) -> None:
        """Tell of a difference."""
        if len(self._differences) < MOST_TOLD:
            self._differences.append(sentence)
        else:
            self._more += 1

    def leave_out(self, note: Note) -> None:
        """Tell of something that is not imported; alike ones are added up."""
        if not note.count:
            return
        key = replace(note, count=0)
        self._notes[key] = self._notes.get(key, 0) + note.count

    def snapshot(self) -> dict[str, Any]:
        """Remember how it stands, to go back when what comes next must be done anew."""
        return deepcopy(vars(self))

    def go_back(self, snapshot: dict[str, Any]) -> None:
        """Forget what was counted since."""
        vars(self).update(deepcopy(snapshot))

    def report(
        self, *, source: str, target: str, dry_run: bool, ids: dict[str, str], seconds: float
    ) -> Report:
        """Close the count."""
        rows = [
            Row(
                what=what,
                source=self._source[what],
                new=self._new[what],
                here=self._here[what],
            )
            for what in WHAT
            if what in self._source
        ]
        left_out = [
            LeftOut(what=note.what, count=count, why=note.why, is_missing=note.is_missing)
            for note, count in self._notes.items()
            if count
        ]
        return Report(
            source=source,
            target=target,
            dry_run=dry_run,
            equal=not self._differences
            and all(row.source == row.here for row in rows)
            and not any(left.is_missing for left in left_out),
            rows=rows,
            left_out=left_out,
            differences=self._differences,
            more_differences=self._more,
            experiment_ids=ids,
            seconds=seconds,
        )
