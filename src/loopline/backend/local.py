"""The backend of one machine: straight to the store and the blobs, no server between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from loopline.blobs.open import open_blobs
from loopline.blobs.stores import is_beside
from loopline.journal.drain import DamagedFilesError
from loopline.journal.home import make_home
from loopline.settings import Address, blobs_address
from loopline.store.database import Store, wall_clock_ms
from loopline.store.inbox import Inbox
from loopline.store.ingest import ingest
from loopline.store.operations import carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from loopline.errors import LooplineError
    from loopline.records.facts import Batch, Receipt
    from loopline.records.operations import Operation, RecordFacts
    from loopline.store.sql import SqlAnswer

__all__ = ["LocalBackend"]

R = TypeVar("R")


class LocalBackend:
    """A backend on a home folder, or on a database with the blobs of the home beside it."""

    def __init__(
        self,
        address: Address,
        *,
        home: Path | None = None,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Open the store and the blobs, making both when they are missing.

        Args:
            address: A home folder, or a database URL.
            home: Where the blobs lie when the address is a database URL.
            clock: Tells the Unix time in milliseconds; schedules and leases go by it.
        """
        self._address = address
        if address.kind == "home":
            home = Path(address.text)
            if not (home / "loopline.db").is_file():  # One that is there may be for reading only.
                make_home(home)
            url = f"sqlite:///{home / 'loopline.db'}"
        else:
            home = home or Path.home() / ".loopline"
            url = address.text
        #: Where uploads wait until they are whole: on the disk of the blobs, as it is by default.
        self.staging = home / "staging"
        self.store = Store(url, clock=clock)
        self._inbox = Inbox(self.store)
        self.blobs = open_blobs(blobs_address(home))
        folder = self.blobs.folder
        self._is_noted = folder is not None and is_beside(folder, self.store.where)

    @property
    def address(self) -> Address:
        """Where it records to."""
        return self._address

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask a query or give a command; see ``Backend.call``."""
        return carry_out(self.store, operation, key=key)

    def run_sql(self, statement: str, parameters: Sequence[Any] = ()) -> SqlAnswer:
        """Run a statement that reads; only where the store is, never through a server.

        Raises:
            InvalidInputError: It does not read, or the database does not understand it.
        """
        from loopline.store.sql import run_sql

        return run_sql(self.store, statement, parameters)

    def send(self, batch: Batch) -> Receipt:
        """Ingest journaled facts; see ``Backend.send``."""
        return ingest(self.store, batch)

    def record_together(self, calls: Sequence[RecordFacts]) -> list[LooplineError | None]:
        """Carry out several ``RecordFacts``, each for itself, with one sync for all.

        For one thread at a time. Points may wait in the inbox, where every read finds them:
        ``settle`` now and then keeps that cheap.

        Returns:
            For each why nothing of it was taken, or None.
        """
        return self._inbox.record(calls)

    def waiting_bytes(self) -> int:
        """Tell how much ``record_together`` has put into the inbox since ``settle``."""
        return self._inbox.size_bytes

    def settle(self) -> None:
        """Put the points that wait in the inbox where they belong."""
        self._inbox.size_bytes = 0
        self.store.settle()

    def deliver(self, batch: Batch, files: Mapping[str, Path]) -> Receipt:
        """Keep files and ingest the facts that name them; see ``Backend.deliver``."""
        damaged = {digest for digest, path in files.items() if self.put_blob(path)[0] != digest}
        if damaged:
            raise DamagedFilesError(damaged)
        return self.send(batch)

    def put_blob(self, source: Path) -> tuple[str, int]:
        """Keep a file's bytes; see ``Backend.put_blob``."""
        self._note()
        return self.blobs.put_file(source)

    def _note(self) -> None:
        if not self._is_noted:  # Or another store's gc would take its blobs for nobody's.
            self.blobs.note_store(self.store.where)
            self._is_noted = True

    def blob_size(self, sha256: str, *, keep: bool = False) -> int:
        """Tell a blob's length; see ``Backend.blob_size``."""
        return self.blobs.size(sha256, keep=keep)

    def take_blob(self, file: Path, sha256: str) -> None:
        """Make a blob of a file in ``staging``, whose hash is known; the file is gone then.

        Raises:
            StorageFullError: There is no room; nothing is kept.
        """
        self._note()
        self.blobs.take(file, sha256)

    def read_blob(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob; see ``Backend.read_blob``."""
        return self.blobs.read(sha256, start=start, end=end)

    def fetch_blobs(self, targets: Mapping[str, Path], *, keep: Path | None = None) -> None:
        """Write blobs to files; see ``Backend.fetch_blobs``."""
        from loopline.backend.downloads import download_blob

        for digest, path in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            download_blob(self, digest, path, keep=keep)

    def open_blob(self, sha256: str) -> BinaryIO:
        """Open a blob, checked; see ``Backend.open_blob``."""
        return self.blobs.open(sha256)

    def answers(self, timeout_s: float) -> bool:  # noqa: ARG002 - as the protocol has it
        """Whether the store is there: it was opened, and waits for no network."""
        return True

    def close(self) -> None:
        """Close the database."""
        self.store.close()
