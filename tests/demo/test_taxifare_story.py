"""The demo's story comes out of the data: drift is seen, and only what is better is promoted.

It is told with TLC's real months where they are, and with the simulated city, whose fare rule
changes in December 2022 as well, where they are not (and, among the deep tests, always).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loopline.backend.open import open_backend
from loopline.records.operations import (
    ListArtifacts,
    ListDecisions,
    ListFlowRuns,
    ListVersionEvents,
    ListVersions,
    SearchRuns,
)
from loopline.records.registry import Stage
from loopline.settings import parse_address

REPOSITORY = Path(__file__).parents[2]

Told = dict[str, Any]


def tell_story(place: Path, *options: str, **environment: str) -> Told:
    """Run the demo as a user does, in a folder of its own; return its story."""
    done = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "demo", "taxifare", "--exit", "--json", *options],
        cwd=place,
        env={**os.environ, "LOOPLINE_URI": str(place / "not-here"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "not-here").exists()  # The demo keeps to a home of its own.
    story: Told = json.loads(done.stdout)
    story["stderr"] = done.stderr
    return story


def tell_simulated(place: Path, *options: str) -> Told:
    """Tell the story as a machine without a network does."""
    return tell_story(
        place,
        *options,
        LOOPLINE_TAXI_DATA="",
        LOOPLINE_TAXI_URL="http://no-such-host.invalid/trip-data",
        XDG_CACHE_HOME=str(place / "cache"),
    )


@pytest.fixture(scope="module")
def story(taxi_folder: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The story on TLC's months, or on the simulated city where they are not."""
    place = tmp_path_factory.mktemp("story")
    if taxi_folder is None:
        return tell_simulated(place)
    return tell_story(place, "--data", str(taxi_folder))


def check_decisions(story: Told) -> dict[str, Told]:
    """Check what is the same in every telling; return the months by name."""
    months = {line["month"]: line for line in story["months"]}
    assert list(months) == [
        "2022-01", "2022-02", "2022-03", "2023-01", "2023-02", "2023-03", "2023-04",
    ]  # fmt: skip
    assert months["2022-01"]["decision"] == "nothing to train on yet"
    assert months["2022-01"]["production"] is None
    assert months["2022-02"]["production"] is None
    assert months["2022-02"]["decision"] == "promoted v1: there was no champion to compare with"
    promoted = [month for month, line in months.items() if line["promoted"]]
    assert promoted == ["2022-02", "2023-02", "2023-03"]
    assert [line["version"] for line in months.values()] == [None, 1, 1, 1, 4, 5, 5]
    for month in ("2022-03", "2023-01", "2023-04"):
        assert months[month]["decision"].startswith("kept v")
    check_drift(months)
    stale, retrained = months["2023-02"]["production"], months["2023-02"]["challenger"]
    assert retrained <= 0.85 * stale
    return months


def check_drift(months: dict[str, Told]) -> None:
    """Check that the alarm sounds when the fares have risen, and at no other time."""
    assert [month for month, line in months.items() if line["alarm"]] == ["2023-01", "2023-02"]
    for month in ("2022-01", "2022-02"):
        assert months[month]["drift"] is None
    for month in ("2022-03", "2023-04"):  # The month of control, and one after all is well again.
        assert months[month]["drifted"] == []
        assert abs(months[month]["worse_by"]) < 0.1
    for month in ("2023-01", "2023-02"):
        assert months[month]["drifted"] == ["error", "fare"]
        assert months[month]["worse_by"] > 0.4


def check_simulated(story: Told) -> None:
    """Check the simulated city's own numbers, and that it says everywhere what it is."""
    months = check_decisions(story)
    assert months["2022-03"]["production"] < 4.0
    assert months["2023-01"]["production"] > 1.5 * months["2022-03"]["production"]
    assert months["2023-04"]["production"] < 1.3 * months["2022-03"]["production"]
    assert story["is_simulated"]
    assert "using a simulated city instead" in story["stderr"]


def test_fares_drift_after_december_2022_and_retraining_wins_it_back(
    story: Told, taxi_folder: Path | None
) -> None:
    if taxi_folder is None:
        check_simulated(story)
        return
    months = check_decisions(story)
    assert not story["is_simulated"]
    assert months["2022-03"]["production"] < 4.0
    assert months["2023-01"]["production"] > 5.5
    assert months["2023-01"]["challenger"] > 5.5  # Trained before the change, it is hardly better.
    assert months["2023-02"]["production"] > 5.5
    assert months["2023-02"]["challenger"] < 4.7
    assert months["2023-04"]["production"] < 4.5
    assert [line["rows"] for line in months.values()] == [
        57691, 64303, 72746, 63913, 60964, 67535, 61287,
    ]  # fmt: skip


@pytest.mark.deep
def test_the_simulated_city_tells_the_same_story(tmp_path: Path) -> None:
    check_simulated(tell_simulated(tmp_path))


def test_everything_of_the_story_is_on_record(story: Told) -> None:
    backend = open_backend(parse_address(story["home"]))
    try:
        versions = {v.version: v for v in backend.call(ListVersions(name="taxifare_model"))}
        assert {n: v.stage for n, v in versions.items()} == {
            1: Stage.ARCHIVED, 2: Stage.NONE, 3: Stage.NONE, 4: Stage.ARCHIVED,
            5: Stage.PRODUCTION, 6: Stage.NONE, 7: Stage.ARCHIVED,
        }  # fmt: skip
        reasons = [event.reason for event in backend.call(ListVersionEvents(name="taxifare_model"))]
        assert [line["decision"] in reasons for line in story["months"]] == [
            line["promoted"] for line in story["months"]
        ]
        for kept in backend.call(ListDecisions(name="taxifare_model")):
            assert kept.policy == 1
            if kept.decision.comparison is not None:
                assert [check.gate for check in kept.decision.checks] == ["gain", *["slices"] * 2]
                assert kept.decision.unseen == "digest"  # By the months that the two learned from.
        flow_runs = backend.call(ListFlowRuns()).flow_runs
        assert len(flow_runs) == 7
        assert {run.state for run in flow_runs} == {"Success"}
        assert sorted(run.parameters["month"] for run in flow_runs) == [
            line["month"] for line in story["months"]
        ]

        runs = {run.run_id: run for run in backend.call(SearchRuns()).runs}
        errors = runs[story["run_id"]]
        assert errors.data.metrics["production_rmse"] == story["months"][-1]["production"]
        files = backend.call(ListArtifacts(run_id=errors.run_id))
        assert Path(story["picture"]).name in {file.path for file in files}
        # Six trainings and the mistaken one, six comparisons, five looks for drift, and the errors
        # over time.
        assert len(runs) == 7 + 6 + 5 + 1
        trained = runs[versions[4].run_id]
        assert trained.flow_run_id in {run.flow_run_id for run in flow_runs}
        assert trained.task_slug == "train_challenger-1"
    finally:
        backend.close()


def test_every_promotion_is_live_and_no_request_fails(story: Told) -> None:
    served = story["served"]
    assert served["failures"] == 0, served["first_failure"]
    # The first, two that won, the bad one, and back: each answered, and nobody else.
    assert [version["version"] for version in served["versions"]] == [1, 4, 5, 7]
    assert served["swaps"] == 4
    assert served["requests"] == sum(version["requests"] for version in served["versions"])
    assert all(version["requests"] >= 2 for version in served["versions"])
    assert f"{served['requests']:,} requests were sent" in story["summary"]
    assert "none failed" in story["summary"]
    for version in (4, 5):
        assert f"v{version} is live: it answers every rider" in story["stderr"]


def test_the_alarm_the_refusal_and_the_winner_are_told(story: Told) -> None:
    months = {line["month"]: line for line in story["months"]}
    worse = f"{100 * months['2023-01']['worse_by']:.0f} % worse"
    assert f"The alarm sounded in 2023-01: {worse}" in story["summary"]
    assert "v3, trained on months before that, was refused" in story["summary"]
    assert "v4, which had seen that month, won in 2023-02" in story["summary"]


def test_the_picture_marks_the_alarm_and_the_promotions(story: Told) -> None:
    picture = Path(story["picture"]).read_text()
    places = [picture.index(f">{mark}<") for mark in ("v1 promoted", "alarm", "v4 promoted")]
    assert places == sorted(places)


def test_a_bad_model_that_is_forced_in_is_rolled_back(story: Told) -> None:
    incident = story["incident"]
    assert (incident["version"], incident["back_to"]) == (7, 5)
    assert incident["error"] > 1.2 * incident["usual"]
    assert incident["usual"] == pytest.approx(story["months"][-1]["production"])
    assert incident["answers"] >= 50
    assert incident["live_error"] > 0
    backend = open_backend(parse_address(story["home"]))
    try:
        events = backend.call(ListVersionEvents(name="taxifare_model"))
    finally:
        backend.close()
    reasons = [event.reason for event in events]
    assert "forced in" in reasons
    assert any(incident["reason"] in reason for reason in reasons)
    assert "v7, trained on kilometres by mistake, was forced in by hand" in story["summary"]
    assert "It was rolled back, and v5 answers again." in story["summary"]


def test_the_terminal_gets_the_table_the_picture_and_the_sentence(story: Told) -> None:
    shown = story["stderr"]
    for word in ("month", "rows", "Production", "challenger", "decision", "version"):
        assert word in shown
    for line in story["months"]:
        assert f"{line['rows']:,}" in shown
    assert "● Production model" in shown or "* Production model" in shown
    assert story["picture"] in shown


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_the_keras_network_tells_the_same_story(taxi_folder: Path | None, tmp_path: Path) -> None:
    if taxi_folder is None:
        check_decisions(tell_simulated(tmp_path, "--model", "keras"))
        return
    told = tell_story(tmp_path, "--model", "keras", "--data", str(taxi_folder))
    months = check_decisions(told)
    assert told["model"] == "keras"
    assert months["2022-03"]["production"] < 4.1
    assert months["2023-02"]["production"] > 5.5
