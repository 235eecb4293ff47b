"""A version copied to another store: a real server, and a home beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sklearn.linear_model import LinearRegression
from tests.server.running import running

import loopline.models.sklearn as flavor
from loopline import registry
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.errors import InvalidInputError, NotFoundError
from loopline.models import load_model
from loopline.settings import Address
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a registered model."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.setenv("LOOPLINE_ACTOR", "ada")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "here"
    set_tracking_uri(home)
    fluent.set_experiment("wagoncab taxifare")
    with fluent.start_run():
        fluent.log_metric("rmse", 3.9)
        model = LinearRegression(fit_intercept=False).fit([[1.0]], [2.5])
        flavor.log_model(model, registered_model_name="taxifare", tags={"city": "NYC"})
    registry.transition_stage("taxifare", 1, "Staging")
    yield home
    close_recorders()
    set_tracking_uri(None)


@pytest.fixture
def there(tmp_path: Path) -> Iterator[str]:
    with running(Address("home", str(tmp_path / "there"))) as url:
        yield url


def test_a_version_is_copied_to_a_server_files_and_all(here: Path, there: str) -> None:
    was = registry.get_version("taxifare", 1)
    made = registry.copy_version("models:/taxifare/Staging", "fares", to=there)
    assert (made.version, made.digest, made.metrics) == (1, was.digest, {"rmse": 3.9})
    assert (made.run_id, made.tags, made.stage) == (was.run_id, {"city": "NYC"}, "None")

    set_tracking_uri(there)
    assert load_model("models:/fares/1").predict([[2.0]]) == pytest.approx([5.0])
    (event,) = registry.history("fares")
    assert event.actor == "ada"
    assert event.reason == f"copied from version 1 of taxifare at {here}"
    back = registry.copy_version("models:/fares/1", "taxifare", to=here)
    set_tracking_uri(here)
    assert back.version == 2
    assert registry.get_version("taxifare", 2).digest == was.digest


def test_the_copy_is_promoted_there_by_one_command(
    here: Path, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from loopline.cli import cli

    command = ["models", "copy", "taxifare", "1", "fares", "--uri", str(here), "--to", there]
    moved = ["--stage", "production", "--reason", "it is the best"]
    cli.main([*command, *moved], standalone_mode=False)
    assert f"taxifare v1 is fares v1 at {there}, too, in Production." in capsys.readouterr().out
    set_tracking_uri(there)
    newest: Any = registry.history("fares")[0]
    assert (newest.after, newest.reason) == ("Production", "it is the best")
    assert registry.get_production("fares") is not None


@pytest.mark.usefixtures("here")
def test_nothing_is_made_there_of_what_is_not_here(there: str) -> None:
    with pytest.raises(NotFoundError):
        registry.copy_version("models:/taxifare/9", "fares", to=there)
    with pytest.raises(InvalidInputError):
        registry.copy_version("runs:/0123/model", "fares", to=there)
    set_tracking_uri(there)
    assert registry.list_models() == []
