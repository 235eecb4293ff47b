"""A version is scored on new rows, compared with the champion, and promoted when it is better."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

import loopline.sklearn
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.data import dataset
from loopline.errors import InvalidInputError, NotFoundError
from loopline.lifecycle import (
    Approval,
    Bound,
    Gain,
    Latency,
    Policy,
    Size,
    Slices,
    approve,
    compare,
    decide_nothing,
    evaluate,
    get_policy,
    list_decisions,
    notify,
    promote,
    roll_back,
    set_policy,
)
from loopline.records.decisions import DecisionStatus
from loopline.registry import get_production, history, list_versions
from loopline.tracking.fluent import get_run, log_input, start_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.decisions import Decision
    from loopline.records.tracking import Dataset

NAME = "taxifare_model"
TRIPS = np.zeros((200, 1))
FARES = np.tile([9.0, 11.0], 100)  # Around 10 dollars, each off by 1.


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    set_tracking_uri(tmp_path / ".loopline")
    yield
    close_recorders()
    set_tracking_uri(None)


def register(fare: float, *, trained_on: Dataset | None = None) -> str:
    """Register a model that says ``fare`` whatever the trip; return its run's id."""
    model: Any = DummyRegressor(strategy="constant", constant=fare).fit(TRIPS, FARES)
    with start_run() as run:
        if trained_on is not None:
            log_input(trained_on, context="training")
        loopline.sklearn.log_model(
            model, "model", input_example=TRIPS[:2], registered_model_name=NAME
        )
    return run.info.run_id


def test_without_a_version_in_the_stage_there_is_no_score() -> None:
    assert evaluate(NAME, TRIPS, FARES) is None
    register(10.0)
    assert evaluate(NAME, TRIPS, FARES) is None


def test_the_version_in_production_is_scored_on_new_rows() -> None:
    register(12.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    found = evaluate(NAME, TRIPS, FARES, metric="mae")
    assert found is not None
    assert (found.version, found.score, found.rows) == (1, 2.0, 200)


def test_a_better_version_takes_the_champion_s_place_with_its_reason() -> None:
    register(13.0)
    first = compare(NAME, 1, TRIPS, FARES)
    assert first.score == pytest.approx(np.sqrt(10))
    assert promote(NAME, first)

    register(10.0)
    decision = compare(NAME, 2, TRIPS, FARES)
    assert decision.comparison is not None
    assert decision.comparison.gain == pytest.approx(1 - 1 / np.sqrt(10))
    assert promote(NAME, decision)
    champion = get_production(NAME)
    assert champion is not None
    assert champion.version == 2
    assert [version.stage for version in list_versions(NAME)] == ["Production", "Archived"]
    assert decision.sentence in {event.reason for event in history(NAME)}
    assert decision.sentence.startswith("promoted v2 over v1: better by 68.4 %")


def test_a_version_that_is_not_better_moves_nothing() -> None:
    register(10.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    register(12.0)
    decision = compare(NAME, 2, TRIPS, FARES, policy=Policy(metric="mae"))
    assert not promote(NAME, decision)
    assert decision.sentence == "kept v1: v2 is worse by 100.0 %"
    champion = get_production(NAME)
    assert champion is not None
    assert champion.version == 1


def test_the_champion_is_not_compared_with_itself() -> None:
    register(10.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    assert compare(NAME, 1, TRIPS, FARES).sentence == "kept v1: it is in Production already"


def test_another_stage_has_its_own_champion() -> None:
    register(10.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES, stage="Staging"), stage="Staging")
    assert evaluate(NAME, TRIPS, FARES, stage="Staging") is not None
    assert evaluate(NAME, TRIPS, FARES) is None


def test_a_decision_about_nothing_moves_nothing() -> None:
    register(10.0)
    assert not promote(NAME, decide_nothing(1, "no rows that neither has seen"))
    assert get_production(NAME) is None


def test_true_values_of_other_rows_are_refused() -> None:
    register(10.0)
    with pytest.raises(InvalidInputError, match="gave 200 numbers for 3 true values"):
        compare(NAME, 1, TRIPS, FARES[:3])


def test_a_version_that_does_not_exist_is_said() -> None:
    register(10.0)
    with pytest.raises(NotFoundError):
        compare(NAME, 7, TRIPS, FARES)


def test_people_are_told_and_the_run_keeps_what_they_were_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = register(10.0)
    notify("2022-03: kept v1", run_id=run_id)
    notify("Nothing about a run")
    assert capsys.readouterr().out == "2022-03: kept v1\nNothing about a run\n"
    assert get_run(run_id).tags["loopline.notification"] == "2022-03: kept v1"


def test_of_decisions_against_the_same_champion_one_moves_its_version_and_only_once() -> None:
    register(14.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    for _ in range(4):
        register(11.0)
    rivals = [compare(NAME, version, TRIPS, FARES) for version in (2, 3, 4, 5)]

    def ask(decision: Decision) -> bool:
        sent_again = [promote(NAME, decision), promote(NAME, decision)]  # The answer was lost.
        return all(sent_again)

    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(ask, rivals))
    assert sum(moved) == 1
    into_production = [each for each in history(NAME) if each.after == "Production"]
    assert len(into_production) == 2


def test_a_decision_against_a_champion_of_yesterday_moves_nothing() -> None:
    register(14.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    register(11.0)
    late = compare(NAME, 2, TRIPS, FARES)
    register(10.0)
    promote(NAME, compare(NAME, 3, TRIPS, FARES))

    assert promote(NAME, late).status is DecisionStatus.OVERTAKEN

    champion = get_production(NAME)
    assert champion is not None
    assert champion.version == 3


def test_the_policy_of_a_model_decides_when_nothing_else_is_said() -> None:
    register(14.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    register(12.0)
    set_policy(Policy(model=NAME, metric="mae", gates=[Bound(at_most=1.5), Gain()]))
    assert get_policy(NAME).metric == "mae"
    found = evaluate(NAME, TRIPS, FARES)
    assert found is not None
    assert (found.metric, found.score) == ("mae", 4.0)
    decision = compare(NAME, 2, TRIPS, FARES)
    assert decision.sentence == (
        "kept v1: v2 is better by 50.0 %, but mae of v2 is 2, above the 1.5 asked for"
    )


def test_a_version_that_was_trained_on_the_rows_is_not_scored_on_them() -> None:
    april, may = dataset(TRIPS, name="april"), dataset(TRIPS + 1, name="may")
    register(14.0, trained_on=april)
    assert promote(NAME, compare(NAME, 1, TRIPS, FARES, data=may))
    register(10.0, trained_on=may)

    seen = compare(NAME, 2, TRIPS, FARES, data=may)
    assert (seen.promote, seen.rule) == (False, "seen")
    assert seen.sentence == "kept v1: v2 was trained on these very rows (may)"
    by_the_champion = compare(NAME, 2, TRIPS, FARES, data=april)
    assert by_the_champion.sentence == "kept v1: v1 was trained on these very rows (april)"

    unseen = compare(NAME, 2, TRIPS, FARES, data=dataset(TRIPS + 2, name="june"))
    assert (unseen.promote, unseen.unseen) == (True, "digest")
    assert compare(NAME, 2, TRIPS, FARES).unseen == ""  # The caller knows.


def test_slices_are_columns_of_the_inputs_or_given_beside_them() -> None:
    register(14.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    register(10.0)
    borough = np.repeat(["Bronx", "Queens"], 100)
    policy = Policy(gates=[Gain(), Slices(by="borough")])
    decision = compare(NAME, 2, TRIPS, FARES, policy=policy, slices={"borough": borough})
    assert [each.value for each in decision.checks[1].slices] == ["Bronx", "Queens"]
    with pytest.raises(InvalidInputError, match="no column 'borough'"):
        compare(NAME, 2, TRIPS, FARES, policy=policy)
    with pytest.raises(InvalidInputError, match="need 200 values"):
        compare(NAME, 2, TRIPS, FARES, policy=policy, slices={"borough": borough[:3]})
    found = evaluate(NAME, TRIPS, FARES, metric="mae", slices={"borough": borough})
    assert found is not None
    assert found.slices == {"borough": {"Bronx": 4.0, "Queens": 4.0}}


def test_latency_and_size_are_measured() -> None:
    register(10.0)
    policy = Policy(gates=[Latency(at_most_ms=10_000), Size(at_most_mb=10)])
    latency, size = compare(NAME, 1, TRIPS, FARES, policy=policy).checks
    assert latency.measured is not None
    assert 0 < latency.measured < 10_000
    assert size.measured is not None
    assert 0 < size.measured < 10
    too_large = compare(NAME, 1, TRIPS, FARES, policy=Policy(gates=[Size(at_most_mb=1e-6)]))
    assert too_large.rule == "size"


def test_a_person_says_yes_and_a_person_takes_back() -> None:
    register(14.0)
    promote(NAME, compare(NAME, 1, TRIPS, FARES))
    set_policy(Policy(model=NAME, gates=[Gain(), Approval()]))
    register(10.0)
    kept = promote(NAME, compare(NAME, 2, TRIPS, FARES))
    assert not kept
    assert [each.decision_id for each in list_decisions(status="waiting")] == [kept.decision_id]
    assert approve(kept.decision_id, "checked by hand")
    assert roll_back(NAME, reason="riders complain").version == 1
    champion = get_production(NAME)
    assert champion is not None
    assert champion.version == 1
