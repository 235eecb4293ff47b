"""Sending journals by hand: those of dead processes here, and copies from other machines."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from loopline.backend.adopt import adopt
from loopline.backend.local import LocalBackend
from loopline.backend.open import open_backend
from loopline.care.progress import silent
from loopline.errors import InvalidInputError, LooplineError
from loopline.journal.journal import META, read_meta
from loopline.records.base import Record
from loopline.records.facts import MetricPoints
from loopline.settings import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from loopline.backend.protocol import Backend
    from loopline.care.progress import Progress
    from loopline.records.facts import Batch, Receipt
    from loopline.records.operations import Operation
    from loopline.settings import Address

__all__ = ["SentJournal", "SyncReport", "find_journals", "send_journals", "settle_home"]

R = TypeVar("R")
_POINT_BYTES = 8


class SentJournal(Record, frozen=True, kw_only=True):
    """What one journal brought to the store.

    Attributes:
        records: Records that the store did not have yet, metric points left aside.
        points: Metric points among them, one by one.
        refused: Of the records, those refused for good.
        closed: Ids of the runs that were closed as FAILED because their process died.
    """

    records: int = 0
    points: int = 0
    refused: int = 0
    closed: list[str] = msgspec.field(default_factory=list)


class SyncReport(Record, frozen=True, kw_only=True):
    """What was sent, and why other journals were kept, by their folders."""

    sent: dict[str, SentJournal]
    kept: dict[str, str]


def find_journals(folder: Path) -> list[Path]:
    """Find the journals of a copied folder: it is one, or holds them or homes at any depth.

    Raises:
        InvalidInputError: There is none.
    """
    found = sorted(
        meta.parent for meta in folder.rglob(META) if not meta.parent.name.startswith(".")
    )
    if not found:
        msg = f"No journal in {folder}. Give a home (.loopline) or a folder below its journal/."
        raise InvalidInputError(msg)
    return found


def send_journals(
    journals: list[Path],
    address: Address | None,
    *,
    keep: bool = False,
    progress: Progress = silent,
) -> SyncReport:
    """Send journals, and delete each that is in the store as a whole.

    Args:
        journals: Their folders.
        address: Where to send all of them: copies from another machine. None: those of this
            machine, each to where it was meant to go, unless its owner lives.
        keep: Leave the folders as they are, which may then be on a read-only disk.
        progress: Told how far it is.
    """
    sent: dict[str, SentJournal] = {}
    kept: dict[str, str] = {}
    backends: dict[Address, _Counting] = {}
    try:
        for number, journal in enumerate(journals):
            progress("journals", number, len(journals))
            try:
                with _perhaps_copied(journal, keep=keep) as folder:
                    target = address or parse_address(read_meta(folder).address)
                    if target not in backends:
                        backends[target] = _Counting(open_backend(target))
                    backend = backends[target]
                    backend.begin(progress)
                    closed = _adopt(folder, target, backend, everything=address is not None)
                    was_sent = not folder.exists()  # Else its owner lives and sends it by itself.
            except (LooplineError, OSError) as error:
                kept[str(journal)] = str(error)
                continue
            except Exception as error:  # noqa: BLE001 - the other journals are sent all the same
                kept[str(journal)] = f"{type(error).__name__}: {error}"
                continue
            if was_sent:
                sent[str(journal)] = backend.sent(closed)
    finally:
        for each in backends.values():
            each.close()
    return SyncReport(sent=sent, kept=kept)


def settle_home(address: Address) -> None:
    """Put into its place what waits in the store of a home, for who reads its file directly."""
    if address.kind == "home" and Path(address.text, "loopline.db").is_file():
        backend = LocalBackend(address)
        try:
            backend.store.settle_to_read()
        finally:
            backend.close()


def _adopt(folder: Path, target: Address, backend: Backend, *, everything: bool) -> list[str]:
    with warnings.catch_warnings():
        # Each damaged journal is worth a word, not only the first.
        warnings.simplefilter("always")
        return adopt(folder, target, backend, everything=everything)


@contextmanager
def _perhaps_copied(journal: Path, *, keep: bool) -> Iterator[Path]:
    if not keep:
        yield journal
        return
    with tempfile.TemporaryDirectory(prefix="loopline-sync-") as folder:
        copy = Path(folder, "journal", journal.name)
        shutil.copytree(journal, copy)
        yield copy


class _Counting:
    """A backend that counts what is sent through it."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self._sent = SentJournal()
        self._known: dict[str, int] = {}
        self._progress: Progress = silent

    def begin(self, progress: Progress) -> None:
        """Count anew, for the next journal."""
        self._sent = SentJournal()
        self._known = {}
        self._progress = progress

    def sent(self, closed: list[str]) -> SentJournal:
        """Tell what was counted."""
        return SentJournal(
            records=self._sent.records,
            points=self._sent.points,
            refused=self._sent.refused,
            closed=closed,
        )

    @property
    def address(self) -> Address:
        """Where it records to."""
        return self._inner.address

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Pass an operation on."""
        return self._inner.call(operation, key=key)

    def send(self, batch: Batch) -> Receipt:
        """Pass a batch on; see ``deliver``."""
        return self.deliver(batch, {})

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Pass a batch on; count it when the store took it, and did not have it before."""
        if batch.writer not in self._known:
            # A batch of nothing changes nothing, and is answered with how far the store is.
            empty = msgspec.structs.replace(batch, start=0, end=0, facts=[])
            self._known[batch.writer] = self._inner.send(empty).acknowledged
        receipt = self._inner.deliver(batch, files)
        if receipt.acknowledged == batch.end > self._known[batch.writer]:
            points = [each for each in batch.facts if isinstance(each, MetricPoints)]
            self._sent = SentJournal(
                records=self._sent.records + len(batch.facts) - len(points),
                points=self._sent.points + sum(len(p.steps) // _POINT_BYTES for p in points),
                refused=self._sent.refused + receipt.refused,
            )
            self._progress("points", self._sent.points, 0)
        return receipt

    def put_blob(self, source: Path) -> tuple[str, int]:
        """Pass a file on."""
        return self._inner.put_blob(source)

    def fetch_blobs(self, targets: Mapping[str, Path], *, keep: Path | None = None) -> None:
        """Write blobs to files."""
        self._inner.fetch_blobs(targets, keep=keep)

    def blob_size(self, sha256: str, *, keep: bool = False) -> int:
        """Ask for a blob's length."""
        return self._inner.blob_size(sha256, keep=keep)

    def read_blob(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob."""
        return self._inner.read_blob(sha256, start=start, end=end)

    def open_blob(self, sha256: str) -> BinaryIO:
        """Open a blob."""
        return self._inner.open_blob(sha256)

    def answers(self, timeout_s: float) -> bool:
        """Whether the store is there."""
        return self._inner.answers(timeout_s)

    def close(self) -> None:
        """Let go of files and connections."""
        self._inner.close()
