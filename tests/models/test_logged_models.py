"""Models logged to runs, registered, moved between stages, and loaded by address."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

import loopline.models.sklearn as flavor
from loopline import registry
from loopline.backend.recorder import close_recorders, get_recorder, set_tracking_uri
from loopline.errors import IntegrityError, InvalidInputError, NotFoundError, UnsafeModelError
from loopline.models import ModelInfo, load_model, pyfunc
from loopline.models.mlmodel import read_mlmodel
from loopline.records.registry import Stage
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

NAME = "taxifare_model"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, recorded to by this process."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.setenv("LOOPLINE_ACTOR", "ada")
    home = tmp_path / ".loopline"
    set_tracking_uri(home)
    fluent.set_experiment("wagoncab taxifare")
    yield home
    fluent.end_run()
    close_recorders()
    set_tracking_uri(None)


def linear(slope: float) -> LinearRegression:
    """A model that charges ``slope`` dollars a mile."""
    return LinearRegression(fit_intercept=False).fit([[1.0]], [slope])


def logged(slope: float = 2.5) -> ModelInfo:
    with fluent.start_run():
        return flavor.log_model(linear(slope), "model", registered_model_name=NAME)


@pytest.mark.usefixtures("home")
def test_a_logged_model_is_artifacts_of_its_run_and_a_version(
    fare_model: Any,  # noqa: ANN401
    trips: pd.DataFrame,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with fluent.start_run() as run:
        info = flavor.log_model(
            fare_model, "model", input_example=trips.head(2), registered_model_name=NAME
        )
    assert info.model_uri == f"runs:/{run.run_id}/model"
    assert info.registered_model_version == 1
    assert "Registered version 1 of taxifare_model" in capsys.readouterr().err
    paths = {artifact.path for artifact in fluent.list_artifacts(run.run_id, "model")}
    assert {"model/MLmodel", "model/model.skops", "model/requirements.txt"} <= paths

    files = fluent.list_artifacts(f"models:/{NAME}/1")
    assert {"MLmodel", "model.skops"} <= {file.path for file in files}

    for uri in (info.model_uri, f"models:/{NAME}/1", f"models:/{NAME}/latest"):
        assert (load_model(uri).predict(trips) == fare_model.predict(trips)).all()
    scored = pyfunc.load_model(info.model_uri)
    assert scored.signature == info.signature
    assert scored.metadata.run_id == run.run_id
    assert scored.metadata.model_uuid == info.model_uuid


@pytest.mark.usefixtures("home")
def test_outside_of_a_run_log_model_starts_one() -> None:
    info = flavor.log_model(linear(2.5))
    run = fluent.active_run()
    assert run is not None
    assert info.model_uri == f"runs:/{run.run_id}/model"


@pytest.mark.usefixtures("home")
def test_stages_and_aliases_are_addresses_and_have_a_history() -> None:
    for slope in (2.5, 3.0, 3.5):
        logged(slope)
    assert registry.get_production(NAME) is None
    registry.transition_stage(NAME, 1, "production")
    registry.transition_stage(NAME, 2, Stage.PRODUCTION, reason="4.1 instead of 6.5 dollars")
    registry.set_alias(NAME, "challenger", 3)

    champion = registry.get_production(NAME)
    assert champion is not None
    assert champion.version == 2
    assert registry.get_version(NAME, "Production") == champion
    assert registry.get_version(NAME, 1).stage == Stage.ARCHIVED
    assert registry.get_version(NAME, alias="challenger").version == 3
    assert [version.version for version in registry.list_versions(NAME)] == [3, 2, 1]
    assert [model.name for model in registry.list_models()] == [NAME]
    prices = {
        uri: float(load_model(f"models:/{NAME}{uri}").predict([[1.0]])[0])
        for uri in ("/Production", "/archived", "@challenger", "/3")
    }
    assert prices == {"/Production": 3.0, "/archived": 2.5, "@challenger": 3.5, "/3": 3.5}

    moved = next(event for event in registry.history(NAME) if event.reason.startswith("4.1"))
    assert (moved.actor, moved.version, moved.after) == ("ada", 2, "Production")
    registry.remove_alias(NAME, "challenger")
    with pytest.raises(NotFoundError, match="challenger"):
        load_model(f"models:/{NAME}@challenger")


@pytest.mark.usefixtures("home")
def test_registering_a_version_anew_copies_no_bytes() -> None:
    info = logged()
    copy = registry.register_model(f"models:/{NAME}/1", "fares_abroad", tags={"city": "Boston"})
    assert copy.run_id == info.run_id
    assert copy.digest == registry.get_version(NAME, 1).digest
    assert copy.tags == {"city": "Boston"}
    again = registry.register_model(info.model_uri, NAME, description="the same once more")
    assert (again.version, again.actor) == (2, "ada")


@pytest.mark.usefixtures("home")
def test_what_is_not_there_is_said_with_the_next_step(tmp_path: Path) -> None:
    info = logged()
    with pytest.raises(NotFoundError, match="Did you mean 'taxifare_model'"):
        load_model("models:/taxifare_modle/1")
    with pytest.raises(NotFoundError, match="no version in stage Production"):
        load_model(f"models:/{NAME}/Production")
    with pytest.raises(NotFoundError, match="has no model 'modle'"):
        load_model(f"runs:/{info.run_id}/modle")
    with pytest.raises(InvalidInputError, match="Log it first"):
        registry.register_model(str(tmp_path), NAME)
    with pytest.raises(InvalidInputError, match="A version is a number"):
        registry.set_alias(NAME, "champion", "Production")


@pytest.mark.usefixtures("home")
def test_a_name_no_model_can_have_is_refused_before_anything_is_logged() -> None:
    with pytest.raises(InvalidInputError, match="Invalid model name 'taxi/fare'"):
        flavor.log_model(linear(2.5), registered_model_name="taxi/fare")
    assert fluent.active_run() is None


def test_loading_again_asks_the_store_for_no_bytes(home: Path) -> None:
    logged()
    load_model(f"models:/{NAME}/1")
    kept = list((home / "cache" / "models").iterdir())
    assert [folder.name for folder in kept] == [registry.get_version(NAME, 1).digest]
    for blob in (home / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert load_model(f"models:/{NAME}/1").predict([[2.0]]) == pytest.approx([5.0])


def test_a_file_changed_in_the_cache_is_named_before_it_is_read(home: Path) -> None:
    logged()
    load_model(f"models:/{NAME}/1")
    (kept,) = (home / "cache" / "models").glob("*/model.skops")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    for load in (load_model, pyfunc.load_model, flavor.load_model):
        with pytest.raises(IntegrityError, match=r"model\.skops is not the file that was logged"):
            load(f"models:/{NAME}/1")


def test_a_bit_flipped_in_the_store_is_reported_by_file(home: Path) -> None:
    info = logged()
    get_recorder().flush()
    model = max(
        (blob for blob in (home / "blobs").rglob("*") if blob.is_file()),
        key=lambda blob: blob.stat().st_size,
    )
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)
    for uri in (f"models:/{NAME}/1", info.model_uri):
        with pytest.raises(IntegrityError, match=r"model\.skops"):
            load_model(uri)
    assert list((home / "cache" / "models").iterdir()) == []


@pytest.mark.usefixtures("home")
def test_many_may_load_a_new_version_at_once() -> None:
    logged()
    with ThreadPoolExecutor(8) as pool:
        loads = [pool.submit(load_model, f"models:/{NAME}/1") for _ in range(16)]
    assert {float(load.result().predict([[2.0]])[0]) for load in loads} == {5.0}


def test_a_cache_somebody_emptied_fills_again(home: Path) -> None:
    logged()
    load_model(f"models:/{NAME}/1")
    for path in (home / "cache" / "models").glob("*/*"):
        path.unlink()
    assert load_model(f"models:/{NAME}/1").predict([[2.0]]) == pytest.approx([5.0])


@pytest.mark.usefixtures("home")
def test_a_pickled_model_of_the_registry_loads_only_when_allowed() -> None:
    with pytest.warns(UserWarning, match="allow_pickle=True"):
        flavor.log_model(
            FunctionTransformer(lambda miles: miles * 2.5),
            name="miles",
            serialization_format="cloudpickle",
            registered_model_name="miles",
        )
    with pytest.raises(UnsafeModelError):
        load_model("models:/miles/1")
    model = load_model("models:/miles/1", allow_pickle=True)
    assert model.transform(np.array([2.0])).tolist() == [5.0]


PROGRAM = """
import sys
from loopline.models import load_model
print(load_model("models:/taxifare_model/Production").predict([[2.0]])[0])
"""


def test_another_process_loads_the_promoted_model(home: Path) -> None:
    logged(3.0)
    registry.transition_stage(NAME, 1, "Production")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"LOOPLINE_URI": str(home), "PYTHONPATH": ":".join(sys.path), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("6.0\n", "")


def test_the_folder_of_a_version_is_what_save_model_writes(home: Path, tmp_path: Path) -> None:
    logged()
    load_model(f"models:/{NAME}/1")
    (kept,) = (home / "cache" / "models").iterdir()
    flavor.save_model(linear(2.5), tmp_path / "saved")
    assert {path.name for path in kept.iterdir()} == {
        path.name for path in (tmp_path / "saved").iterdir()
    }
    ours, saved = read_mlmodel(kept), read_mlmodel(tmp_path / "saved")
    assert ours.flavors == saved.flavors
    assert (saved.run_id, saved.artifact_path) == (None, None)
