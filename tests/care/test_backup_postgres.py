"""A store on PostgreSQL is dumped by pg_dump as it was at the moment its files were listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.restore import restore
from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import PostgresServer

RUN = "ab" * 16


@pytest.mark.deep
def test_a_backup_of_postgresql_comes_back(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    backend = LocalBackend(postgres.new())
    (tmp_path / "trips").write_bytes(b"trips")
    digest, size = backend.put_blob(tmp_path / "trips")
    backend.send(
        f.Batch(
            writer="cd" * 16,
            start=0,
            end=1,
            facts=[
                f.RunStarted(run_id=RUN, experiment="taxifare", start_ms=1),
                f.ArtifactLogged(run_id=RUN, path="t", sha256=digest, size_bytes=size, at_ms=1),
            ],
        )
    )
    for target in ("folder", "backup.tar"):
        report = back_up(backend, tmp_path / target)
        assert (report.counts["runs"], report.blobs) == (1, 1)
        assert backend.blobs.folder is not None
        (backend.blobs.folder / digest[:2] / digest).unlink()

        empty = postgres.new_empty()
        restored = restore(tmp_path / target, empty)
        assert restored.counts == report.counts
        again = LocalBackend(empty)
        assert again.call(ops.GetRun(run_id=RUN)) == backend.call(ops.GetRun(run_id=RUN))
        assert b"".join(again.read_blob(digest)) == b"trips"
        again.close()
        with pytest.raises(InvalidInputError, match="empty database"):
            restore(tmp_path / target, empty)
        with pytest.raises(InvalidInputError, match="PostgreSQL"):
            restore(tmp_path / target, Address("home", str(tmp_path / "home")))
    backend.close()
