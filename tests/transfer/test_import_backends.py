"""An import through every backend: what one takes, the others take alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.backend.conftest import WAYS
from tests.server.running import running

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.records.operations import EnsureExperiment, GetModel, GetRun
from loopline.settings import Address
from loopline.transfer.archive_read import ArchiveSource
from loopline.transfer.archive_write import write_archive
from loopline.transfer.importer import import_from
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.transfer.mlruns_story import Mlruns

    from loopline.backend.protocol import Backend


@pytest.fixture(params=WAYS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    home = tmp_path / "home" / ".loopline"
    address = Address("home", str(home))
    if request.param.endswith("PostgreSQL"):
        address = request.getfixturevalue("postgres").new()
    if request.param.startswith("local"):
        local = LocalBackend(address, home=home)
        yield local
        local.close()
        return
    with running(address) as url:
        remote = HttpBackend(Address("http", url))
        yield remote
        remote.close()


def test_a_store_is_taken_in_whole_and_again_and_given_back(
    store: Mlruns, backend: Backend, tmp_path: Path
) -> None:
    for new in (True, False):
        report = import_from(open_mlflow(str(store.root)), backend)
        assert report.equal, report.differences
        assert any(row.new for row in report.rows) is new
    write_archive(Selection(backend), backend, tmp_path / "archive")
    other = LocalBackend(Address("home", str(tmp_path / "other")))
    assert import_from(ArchiveSource(tmp_path / "archive"), other).equal
    assert other.call(GetModel(name="fare")) == backend.call(GetModel(name="fare"))
    run = GetRun(run_id="a" * 32)
    assert repr(other.call(run)) == repr(backend.call(run))  # NaN is not equal to itself.
    other.close()


def test_an_experiment_made_afterwards_gets_a_free_number(store: Mlruns, backend: Backend) -> None:
    import_from(open_mlflow(str(store.root)), backend)
    made = backend.call(EnsureExperiment(name="ours"))
    assert made.experiment_id == "3"
