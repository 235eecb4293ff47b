"""Around the loop in a city with known rules: what comes out is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tests.lifecycle import city
from tests.lifecycle.city import NAME, loop, train, trips

import loopline
from loopline.backend.recorder import close_recorders, get_tracking_uri, set_tracking_uri
from loopline.errors import InvalidInputError, NotFoundError
from loopline.lifecycle import Approval, Gain, Loop, Policy, compare, list_decisions
from loopline.records.decisions import DecisionStatus
from loopline.registry import get_production, list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    set_tracking_uri(tmp_path / ".loopline")
    yield tmp_path
    close_recorders()
    set_tracking_uri(None)


def production() -> int | None:
    found = get_production(NAME)
    return None if found is None else found.version


def test_around_the_loop_month_by_month_the_raised_fares_are_found_and_won_back() -> None:
    one = loop()
    turns = [one.turn(f"2022-{month:02d}-01") for month in range(2, 13)]

    by_month = {turn.since[:7]: turn for turn in turns}
    assert by_month["2022-01"].sentence == "nothing to train on yet"
    assert by_month["2022-02"].version == 1  # The first takes the place, by rule.
    # Until June nothing changes: what is trained anew is no better.
    for month in ("2022-03", "2022-04", "2022-05", "2022-06"):
        turn = by_month[month]
        assert turn.production == pytest.approx(1.0, abs=0.1)
        assert turn.decision is not None
        assert turn.decision.status is DecisionStatus.KEPT
    # July: the champion is far off, and so is a challenger that was trained before it.
    july = by_month["2022-07"]
    assert july.production is not None
    assert july.production > 3
    assert july.decision is not None
    assert not july.decision
    # August: the challenger has seen July, and is surely better. September's is better still.
    august, september = by_month["2022-08"], by_month["2022-09"]
    assert august.decision is not None
    assert august.decision
    assert september.decision is not None
    assert september.decision
    october = by_month["2022-10"]
    assert october.production == pytest.approx(1.0, abs=0.1)
    assert october.decision is not None
    assert not october.decision
    kept = list_decisions(NAME)
    assert len(kept) == 10
    assert {each.decision.unseen for each in kept if each.decision.comparison} == {"digest"}


def test_a_loop_trains_only_when_the_champion_got_worse_if_its_policy_says_so() -> None:
    one = loop(retrain_when_worse_by=0.5)
    one.turn("2022-03")
    assert len(list_versions(NAME)) == 1
    may = one.turn("2022-06")
    assert may.sentence == "kept v1: it is as good as it was"
    assert len(list_versions(NAME)) == 1
    one.turn("2022-08")
    assert len(list_versions(NAME)) == 2


def test_the_ready_flow_does_the_same_and_tells_the_decision_which_flow_run_it_was() -> None:
    flow = loop().build_flow()
    first = flow.run(until="2022-03-01")
    assert first.is_successful()
    assert production() == 1
    assert flow.run(until="2022-10-01").is_successful()
    assert production() == 2
    assert all(each.flow_run_id for each in list_decisions(NAME))
    names = {task.name for task in flow.tasks}
    assert {"evaluate_production", "train_challenger", "promote_if_better"} <= names


def test_a_backtest_moves_nothing_and_tells_cost_and_savings(home: Path) -> None:
    before = get_tracking_uri()
    done = loop(Gain(), Approval(by=["somebody else"])).backtest("2022-01", "2023-01")
    assert len(done.lines) == 12
    assert [line.since[:7] for line in done.lines if line.status == "promoted"] == [
        "2022-02", "2022-08", "2022-09",
    ]  # fmt: skip
    assert done.trained == 11
    assert done.promoted == 3
    # By hand: without the loop half the year is off by 30 %; with it July alone, and a bit.
    assert 0.3 < done.saved < 0.7
    assert "would have taken away" in done.sentence
    assert done.picture().startswith("<svg")
    assert get_tracking_uri() == before
    with pytest.raises(NotFoundError):
        list_versions(NAME)
    assert not list((home / ".loopline").glob("blobs/??"))


def test_in_a_year_without_change_nothing_but_the_first_is_promoted() -> None:
    rows = trips(raised=pd.Timestamp("2030-01-01"))
    done = loop(rows=rows).backtest("2022-01", "2023-01")
    assert done.promoted == 1
    assert abs(done.saved) < 0.01


def test_a_loop_takes_rows_from_a_function_and_text_times() -> None:
    rows = trips()
    text = rows.assign(at=rows["at"].astype(str))
    for given in (lambda since, until: rows[(rows["at"] >= since) & (rows["at"] < until)], None):
        one = (
            Loop(city.policy(), rows=given, train=train)
            if given
            else Loop(city.policy(), rows=text, train=train, order_by="at")
        )
        assert one.evaluate_production(one.spans("2022-02")[0]) is None
        assert len(one.part(one.spans("2022-02")[0]).to_pandas()) == city.TRIPS_A_MONTH


def test_a_loop_over_a_feed_knows_to_the_row_what_was_seen() -> None:
    feed = loopline.Feed("city", order_by="at")
    feed.append(trips())
    one = Loop(city.policy(), rows=feed, train=train)
    first, august = one.turn("2022-03"), one.turn("2022-09")
    assert first.version == 1
    assert august.decision is not None
    assert (bool(august.decision), august.decision.decision.unseen) == (True, "feed")

    # The same version over rows of which it has seen one day.
    rows = feed.window("2022-07-31", "2022-08-15")
    frame = rows.to_pandas()
    seen = compare(
        NAME, 1, frame[["miles"]], frame["fare"], policy=city.policy(), data=rows.dataset()
    )
    assert (seen.promote, seen.rule) == (False, "seen")
    assert seen.sentence.startswith("kept v2: v2 was trained on some of these rows (")


def test_what_a_loop_lacks_is_said() -> None:
    with pytest.raises(InvalidInputError, match="what came true"):
        Loop(Policy(model=NAME), rows=trips(), train=train, order_by="at")
    with pytest.raises(InvalidInputError, match="no column 'when'"):
        Loop(city.policy(), rows=trips(), train=train, order_by="when")
    with pytest.raises(InvalidInputError, match="a feed, a table or a function"):
        Loop(city.policy(), rows=5, train=train)
    with pytest.raises(InvalidInputError, match="No moment 'soon'"):
        loop().turn("soon")
    lazy = Loop(city.policy(), rows=trips(), train=lambda rows: rows, order_by="at")
    with pytest.raises(InvalidInputError, match="registered no version"):
        lazy.turn("2022-03")
