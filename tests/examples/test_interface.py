"""The example's interface: preprocess, train, evaluate and predict, each by its first row."""

from __future__ import annotations

import ast
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

import loopline
from loopline import registry
from loopline.backend.recorder import close_recorders
from loopline.demo import TAXI_MONTHS
from loopline.demo.simulated_city import make_month
from loopline.models import pyfunc
from taxifare.flow import build_flow
from taxifare.interface.main import evaluate, pred, preprocess, train
from taxifare.ml_logic import data
from taxifare.ml_logic.data import chunk_at, chunk_of, chunks, load
from taxifare.ml_logic.preprocess import COLUMNS, FEATURES

EXAMPLE = Path(__file__).parents[2] / "examples" / "taxifare"
ROWS = 3000

#: What the example may import: a team has no more than this either.
PUBLIC = {
    "loopline",
    "loopline.demo",
    "loopline.errors",
    "loopline.keras",
    "loopline.lifecycle",
    "loopline.models",
    "loopline.registry",
    "loopline.sklearn",
}


@pytest.fixture(scope="session")
def small_months(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the first trips of each month of the simulated city."""
    folder = tmp_path_factory.mktemp("small")
    for month in TAXI_MONTHS:
        path = folder / f"green_tripdata_{month}.parquet"
        parquet.write_table(make_month(month).slice(0, ROWS), path)
    return str(folder)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, small_months: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """An empty home, and the small months where the example looks for trips."""
    monkeypatch.setenv("LOOPLINE_TAXI_DATA", small_months)
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    loopline.set_tracking_uri(tmp_path / ".loopline")
    for cached in (data.source, data.chunks, data.load):
        cached.cache_clear()  # They are about the folder of another test.
    yield tmp_path
    close_recorders()
    loopline.set_tracking_uri(None)


def test_chunks_are_the_rows_of_the_months_joined(small_months: str) -> None:
    assert [chunk.first_row for chunk in chunks(small_months)] == [k * ROWS for k in range(7)]
    assert chunk_at(2 * ROWS, small_months).month == "2022-03"
    assert chunk_of("2022-03", small_months).next_row == 3 * ROWS


def test_a_row_at_which_no_month_begins_is_answered_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"Months begin at 0 \(2022-01\), 3000 \(2022-02\)"):
        evaluate(17)


def test_preprocess_says_what_went_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    report = preprocess(first_row=0)
    assert report.rows == 2 * ROWS
    assert report.kept == report.rows - sum(report.dropped.values())
    said = capsys.readouterr().out
    assert "2022-01 (simulated city): 3,000 trips" in said
    assert "2022-02" in said


def test_evaluate_without_a_production_model_says_so_and_answers_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(0) is None
    assert "2022-01: no Production model of taxifare_model yet" in capsys.readouterr().out


def test_the_first_version_goes_to_production_by_rule_and_the_same_again_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    score = train(first_row=0, stage="Production")
    assert score is not None
    assert "promoted v1: there was no champion" in capsys.readouterr().out
    assert evaluate(2 * ROWS) == pytest.approx(score)

    assert train(first_row=0, stage="Production") == pytest.approx(score)
    assert "kept v1: v2 is no better" in capsys.readouterr().out
    champion = registry.get_production("taxifare_model")
    assert champion is not None
    assert champion.version == 1


def test_a_version_keeps_what_it_learned_from(capsys: pytest.CaptureFixture[str]) -> None:
    train(first_row=ROWS)
    assert "promoted" not in capsys.readouterr().out
    version = registry.get_version("taxifare_model", 1)
    assert version.description == "sklearn, trained on 2022-02 + 2022-03 (simulated city)"
    assert version.params["months"] == "2022-02 + 2022-03"
    assert (version.params["first_row"], version.params["next_row"]) == ("3000", "9000")
    assert int(version.params["rows"]) + int(version.params["rows_dropped"]) == 2 * ROWS
    run = loopline.get_run(version.run_id)
    assert run.tags["data.origin"] == "simulated city"
    assert "passenger counts imputed" in run.tags["cleaning"]

    model = pyfunc.load_model("models:/taxifare_model/1")
    assert model.signature is not None
    assert model.signature.inputs is not None
    assert "distance_miles" in str(model.signature.inputs)


def test_training_on_the_last_months_has_nothing_to_be_compared_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(first_row=5 * ROWS, stage="Production") is None
    assert "no month follows the ones it learned from" in capsys.readouterr().out
    assert registry.get_production("taxifare_model") is None


def test_a_champion_is_never_compared_on_rows_it_learned_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(first_row=2 * ROWS, stage="Production")  # Learns from 2022-03 and 2023-01.
    train(first_row=0, stage="Production")  # Would be compared on 2022-03.
    assert "kept v1: it learned from 2022-03" in capsys.readouterr().out


def test_pred_gives_a_fare_for_each_trip() -> None:
    train(first_row=0, stage="Production")
    trips = make_month("2022-03").to_pandas()[list(COLUMNS)].head(20)
    fares = pred(trips)
    assert fares.shape == (20,)
    assert ((fares > 0) & (fares < 200)).all()


def test_a_month_of_the_flow_ends_with_its_line_of_the_story() -> None:
    flow = build_flow()
    state = flow.run(parameters={"month": "2022-02"})
    assert state.is_successful()
    (notify,) = flow.get_tasks(name="notify")
    line = state.result[notify].result
    assert line["month"] == "2022-02"
    assert line["production"] is None
    assert line["promoted"]
    assert line["version"] == 1
    run = loopline.get_run(registry.get_version("taxifare_model", 1).run_id)
    assert run.tags["loopline.notification"] == (
        "2022-02 (simulated city): promoted v1: there was no champion to compare with"
    )


def test_the_example_uses_public_names_only() -> None:
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                assert not any(alias.name.startswith("_") for alias in node.names), path
            for name in names:
                if name.partition(".")[0] == "loopline":
                    assert name in PUBLIC, f"{path.name} imports {name}"


def test_every_feature_is_named_in_the_order_models_see_it() -> None:
    trips = load(chunk_of("2022-01"))
    assert tuple(trips.features.columns) == FEATURES
    assert isinstance(trips.fares, pd.Series)
    assert len(trips.features) == len(trips.fares) == trips.report.kept
