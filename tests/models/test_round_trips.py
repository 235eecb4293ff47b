"""How many requests it takes to log, register and load a model, counted before a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from tests.server.counting import Passed, counting
from tests.server.running import running

import loopline.models.sklearn as flavor
from loopline import registry
from loopline.backend.http import HttpBackend
from loopline.backend.recorder import close_recorders, get_recorder, set_tracking_uri
from loopline.blobs.local import LocalBlobs
from loopline.errors import StorageFullError
from loopline.models import load_model
from loopline.records.operations import ListArtifacts, ListModels
from loopline.settings import Address
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "taxifare_model"


@pytest.fixture
def passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Passed]:
    """A server behind a proxy that counts; this process records to it, from a home of its own."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".loopline").mkdir()
    with running(Address("home", str(tmp_path / "server"))) as url, counting(url) as passed:
        set_tracking_uri(passed.url)
        fluent.set_experiment("wagoncab taxifare")
        yield passed
        fluent.end_run()
        close_recorders()
        set_tracking_uri(None)


def forest() -> RandomForestRegressor:
    """A model of some megabytes, as it lies on disk."""
    rng = np.random.default_rng(7)
    miles = rng.uniform(0.5, 20.0, (3_000, 4))
    return RandomForestRegressor(40, random_state=0).fit(miles, miles @ rng.uniform(1, 3, 4))


def test_logging_and_registering_takes_three_requests_and_loading_two(passed: Passed) -> None:
    model = forest()
    with fluent.start_run() as run:
        fluent.log_param("trees", 40)
        get_recorder().flush()
        with passed.noted() as logging:
            info = flavor.log_model(
                model, input_example=np.ones((2, 4)), registered_model_name=NAME
            )
    assert logging == [
        "POST /api/v1/blobs/missing",
        "POST /api/v1/facts-with-files",
        "POST /api/v1/ops/register-version",
    ]
    registry.transition_stage(NAME, 1, "Production")
    registry.set_alias(NAME, "champion", 1)
    fares = model.predict(np.ones((1, 4)))

    resolve, fetch = "POST /api/v1/ops/resolve-model", "POST /api/v1/blobs/bundle"
    with passed.noted() as first:
        assert load_model(f"models:/{NAME}/Production").predict(np.ones((1, 4))) == fares
    assert first == [resolve, fetch]
    for uri in (f"models:/{NAME}/1", f"models:/{NAME}@champion", f"models:/{NAME}/latest"):
        with passed.noted() as again:
            assert load_model(uri).predict(np.ones((1, 4))) == fares
        assert again == [resolve], uri
    assert info.model_uri == f"runs:/{run.run_id}/model"
    with passed.noted() as by_run:
        load_model(info.model_uri)
    assert by_run == ["POST /api/v1/ops/list-artifacts"]


def test_a_small_model_is_sent_without_asking(passed: Passed) -> None:
    with fluent.start_run():
        get_recorder().flush()
        with passed.noted() as logging:
            flavor.log_model(
                LinearRegression().fit([[1.0], [2.0]], [2.5, 5.0]), registered_model_name=NAME
            )
    assert logging == ["POST /api/v1/facts-with-files", "POST /api/v1/ops/register-version"]


def test_a_next_version_brings_only_the_files_that_changed(
    passed: Passed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopline.backend.bundles.ASK_FROM_BYTES", 1)
    for slope in (2.5, 3.0):
        with fluent.start_run():
            flavor.log_model(
                LinearRegression(fit_intercept=False).fit([[1.0]], [slope]),
                registered_model_name=NAME,
            )
    load_model(f"models:/{NAME}/1")
    kept = {path.name for path in (tmp_path / ".loopline" / "cache" / "files").glob("*/*")}
    with passed.noted() as second:
        assert load_model(f"models:/{NAME}/2").predict([[2.0]]) == pytest.approx([6.0])
    assert len(second) == 2
    now = {path.name for path in (tmp_path / ".loopline" / "cache" / "files").glob("*/*")}
    assert len(now - kept) == 2  # MLmodel, with its own id, and the model itself.


def test_a_kept_file_that_was_damaged_is_fetched_again(passed: Passed, tmp_path: Path) -> None:
    for slope in (2.5, 3.0):
        with fluent.start_run():
            flavor.log_model(
                LinearRegression(fit_intercept=False).fit([[1.0]], [slope]),
                registered_model_name=NAME,
            )
    load_model(f"models:/{NAME}/1")
    for path in (tmp_path / ".loopline" / "cache" / "files").glob("*/*"):
        path.write_bytes(b"not what it was")
    with passed.noted() as requests:
        assert load_model(f"models:/{NAME}/2").predict([[2.0]]) == pytest.approx([6.0])
    assert len(requests) == 2


def test_a_download_that_breaks_off_goes_on_with_the_files_that_lack(passed: Passed) -> None:
    model = forest()
    with fluent.start_run():
        flavor.log_model(model, registered_model_name=NAME)
    get_recorder().flush()
    passed.cut_after = 100_000
    with passed.noted() as requests:
        load_model(f"models:/{NAME}/1")
    assert [each.rpartition("/")[2] for each in requests] == ["resolve-model", "bundle", "bundle"]


@pytest.mark.filterwarnings("ignore:Loopline cannot record")  # That is what is tried.
def test_nothing_of_a_model_is_seen_before_all_its_files_are_kept(
    passed: Passed, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = LocalBlobs.take
    kept: list[Path] = []

    def until_full(blobs: LocalBlobs, file: Path, digest: str) -> None:
        if len(kept) == 3:
            msg = "No room."
            raise StorageFullError(msg)
        kept.append(file)
        take(blobs, file, digest)

    model = LinearRegression(fit_intercept=False).fit([[1.0]], [2.5])
    with fluent.start_run() as run:
        get_recorder().flush()
        with monkeypatch.context() as full:
            full.setattr(LocalBlobs, "take", until_full)
            with pytest.raises(StorageFullError):
                flavor.log_model(model, registered_model_name=NAME)
            reader = HttpBackend(Address("http", passed.url))
            assert reader.call(ListArtifacts(run_id=run.run_id)) == []
            assert reader.call(ListModels()) == []
            reader.close()
        info = registry.register_model(f"runs:/{run.run_id}/model", NAME)
    assert info.version == 1
    assert load_model(f"models:/{NAME}/1").predict([[2.0]]) == pytest.approx([5.0])
