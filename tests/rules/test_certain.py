"""What begins in a journal no store refuses; of all else its word is waited for."""

from __future__ import annotations

from array import array

import pytest

from loopline.records import facts as f
from loopline.records.flows import FlowGraph, LogLine, StateKind
from loopline.records.tracking import RunStatus
from loopline.rules.certain import Certain

RUN, FLOW_RUN, OTHER = "1" * 32, "2" * 32, "3" * 32
STARTED = f.RunStarted(run_id=RUN, experiment="fares", start_ms=1)
BEGUN = f.FlowRunState(
    flow_run_id=FLOW_RUN, state=StateKind.RUNNING, at_ms=1, graph=FlowGraph(tasks=[], edges=[])
)


def points(run_id: str = RUN, key: str = "rmse", *, missing: int = 0) -> f.MetricPoints:
    column = array("q", [1, 2]).tobytes()
    values = column[missing:]
    return f.MetricPoints(run_id=run_id, key=key, steps=column, timestamps_ms=column, values=values)


def params(**values: str) -> f.ParamsLogged:
    return f.ParamsLogged(run_id=RUN, params=values)


def artifact(path: str, run_id: str = RUN) -> f.ArtifactLogged:
    return f.ArtifactLogged(run_id=run_id, path=path, sha256="a" * 64, size_bytes=1, at_ms=1)


def task(flow_run_id: str = FLOW_RUN, *, token: int = 0) -> f.TaskRunState:
    return f.TaskRunState(
        flow_run_id=flow_run_id, task_slug="fit", state=StateKind.SUCCESS, at_ms=1, token=token
    )


def ended(run_id: str = RUN, *, adopted: bool = False) -> f.RunEnded:
    return f.RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=2, adopted=adopted)


LINE = LogLine(flow_run_id=OTHER, task_slug="", at_ms=1, level=20, message="Fitting.")


def test_a_script_that_records_what_it_begins_is_certain_of_all_of_it() -> None:
    certain = Certain()
    assert certain.are([STARTED, points(), params(depth="6"), BEGUN, task()])
    tagged = f.TagsSet(run_id=RUN, tags={"city": "wagoncab"})
    assert certain.are([tagged, params(depth="6"), artifact("model/MLmodel"), artifact("a.txt")])
    assert certain.are([f.LogsWritten(lines=[LINE]), ended()])


@pytest.mark.parametrize(
    "fact",
    [
        points(OTHER),
        points(key="no/../key"),
        points(missing=1),
        params(depth="7"),
        params(**{"": "no key"}),
        f.TagsSet(run_id=OTHER, tags={}),
        f.TagsSet(run_id=RUN, tags={"nul": "\0"}),
        ended(OTHER),
        ended(adopted=True),
        artifact("model", OTHER),
        artifact("model/MLmodel/inside"),
        artifact("model"),
        artifact("../outside"),
        task(OTHER),
        task(token=1),
        f.FlowRunState(flow_run_id=OTHER, state=StateKind.SUCCESS, at_ms=2),
        f.FlowRunState(flow_run_id=FLOW_RUN, state=StateKind.SUCCESS, at_ms=2, token=3),
        f.RunStarted(run_id=OTHER, experiment="fares", start_ms=1, resumed=True),
        f.RunStarted(run_id=OTHER, experiment_id="1", start_ms=1),
        f.RunStarted(run_id="no id", start_ms=1),
        f.RunStarted(run_id=OTHER, experiment="\0", start_ms=1),
        f.TagRemoved(run_id=RUN, key="city"),
        f.Unreadable(data=b"", reason="torn"),
    ],
    ids=repr,
)
def test_what_could_be_refused_is_not_certain(fact: f.Fact) -> None:
    certain = Certain()
    assert certain.are([STARTED, BEGUN, params(depth="6"), artifact("model/MLmodel")])
    assert not certain.are([fact])
