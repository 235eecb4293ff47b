"""What an import decides: which points are missing, and how a run is to stand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.records.base import Lifecycle
from loopline.records.registry import Stage
from loopline.records.tracking import Run, RunStatus
from loopline.records.transfer import RunDescription
from loopline.rules.points import Points, merge
from loopline.transfer.mlflow_facts import Origin, champions_of, origin_of
from loopline.transfer.numbers import number_of, word_of
from loopline.transfer.plan import settlement_of
from loopline.transfer.points import known_of, ordered, parts_of, same, summed_up, without
from loopline.transfer.source import SourceRun, SourceVersion

ROWS = st.lists(
    st.tuples(
        st.integers(-5, 5),
        st.integers(0, 3),
        st.sampled_from([0.5, 1.5, math.nan, math.inf, -math.inf]),
    ),
    min_size=1,
    max_size=30,
)


def series_of(rows: list[tuple[int, int, float]]) -> Points:
    steps, times, values = zip(*rows, strict=True)
    return ordered("a", "rmse", steps, times, values).points


@given(mine=ROWS, theirs=ROWS)
def test_what_is_missing_and_what_is_here_make_the_union(
    mine: list[tuple[int, int, float]], theirs: list[tuple[int, int, float]]
) -> None:
    source, here = series_of(mine), series_of(theirs)
    missing = without(source, here)
    assert len(missing) + len(here) == len(merge([source, here]))
    assert len(without(source, source)) == 0


@given(rows=ROWS)
def test_a_history_is_like_itself_and_in_parts_the_same(
    rows: list[tuple[int, int, float]],
) -> None:
    points = series_of(rows)
    assert same(summed_up(points), summed_up(merge(parts_of(points))))
    assert ordered("a", "rmse", *zip(*rows, strict=True)).repeated == len(rows) - len(points)


def test_histories_that_differ_in_one_number_are_not_alike() -> None:
    known = summed_up(series_of([(0, 0, 1.5), (1, 0, math.nan)]))
    assert same(known, known)
    assert not same(known, known._replace(min=1.0))
    assert not same(known, known._replace(value=0.0))


@given(value=st.floats())
def test_numbers_come_back_from_json_as_they_were(value: float) -> None:
    assert repr(number_of(word_of(value))) == repr(value)


def known(status: RunStatus, lifecycle: Lifecycle = Lifecycle.ACTIVE) -> RunDescription:
    run = Run(run_id="a", experiment_id="1", status=status, lifecycle=lifecycle, end_ms=5)
    return RunDescription(run=run)


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (RunStatus.FINISHED, RunStatus.RUNNING, RunStatus.FINISHED),
        (RunStatus.RUNNING, RunStatus.RUNNING, None),
        (RunStatus.FAILED, RunStatus.FINISHED, None),
        (RunStatus.RUNNING, RunStatus.SCHEDULED, RunStatus.RUNNING),
    ],
)
def test_a_run_that_goes_on_is_followed_and_one_that_ended_stays(
    theirs: RunStatus, ours: RunStatus, expected: RunStatus | None
) -> None:
    run = SourceRun(run_id="a", experiment_id="1", status=theirs, end_ms=5)
    settled = settlement_of(run, known(ours), "w", update=False)
    assert (settled.status if settled else None) == expected


def test_a_deletion_is_followed_and_a_restoring_only_when_asked() -> None:
    run = SourceRun(run_id="a", experiment_id="1", status=RunStatus.FINISHED, end_ms=5)
    gone = SourceRun(
        run_id="a",
        experiment_id="1",
        status=RunStatus.FINISHED,
        end_ms=5,
        lifecycle=Lifecycle.DELETED,
    )
    deleted = settlement_of(gone, known(RunStatus.FINISHED), "w", update=False)
    assert deleted is not None
    assert deleted.lifecycle == Lifecycle.DELETED
    here = known(RunStatus.FINISHED, Lifecycle.DELETED)
    assert settlement_of(run, here, "w", update=False) is None
    restored = settlement_of(run, here, "w", update=True)
    assert restored is not None
    assert restored.lifecycle == Lifecycle.ACTIVE


@pytest.mark.parametrize(
    ("source", "storage", "root", "expected"),
    [
        ("models:/m-1f", "/x/m-1f", "", Origin("r", "m-1f", "", "/x/m-1f")),
        ("runs:/q/model/deep", "", "", Origin("q", "", "model/deep", "")),
        ("/x/r/a/model", "", "/x/r/a", Origin("r", "", "model", "/x/r/a/model")),
        ("file:///x%20y/r/a/m", "", "/x y/r/a", Origin("r", "", "m", "file:///x%20y/r/a/m")),
        ("s3://b/r/a/m", "", "s3://b/r/a", Origin("r", "", "m", "s3://b/r/a/m")),
        ("s3://b/other", "", "s3://b/r/a", Origin("r", "", "", "s3://b/other")),
        ("models:/fare/2", "/x/r/a/model", "/x/r/a", Origin("r", "", "model", "/x/r/a/model")),
        ("models:/fare/2", "", "", Origin("r", "", "", "")),
    ],
)  # fmt: skip
def test_a_versions_files_are_found_whatever_it_was_made_from(
    source: str, storage: str, root: str, expected: Origin
) -> None:
    assert origin_of(run_id="r", source=source, storage=storage, run_root=root) == expected


def test_the_champion_of_a_stage_is_mlflows_the_highest_number() -> None:
    versions = [
        SourceVersion(version=number, created_ms=1, updated_ms=1, stage=stage)
        for number, stage in ((2, Stage.PRODUCTION), (7, Stage.PRODUCTION), (8, Stage.ARCHIVED))
    ]
    assert champions_of(versions) == {"Production": 7}


def test_a_summary_of_a_store_says_the_same_as_the_points() -> None:
    from loopline.records.tracking import MetricSummary

    summary = MetricSummary(
        value=math.nan, step=1, timestamp_ms=2, min=math.nan, max=math.nan, mean=math.nan, count=1,
        first_step=1, last_step=1,
    )  # fmt: skip
    assert same(known_of(summary), summed_up(series_of([(1, 2, math.nan)])))
