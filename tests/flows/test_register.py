"""Registering flows: versions, projects, and what the user is told."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import BackendUnavailableError, InvalidInputError, UnsupportedError
from loopline.flows.events import on_flow_run, on_model_version, on_stage
from loopline.flows.flow import Flow
from loopline.flows.parameter import Parameter
from loopline.flows.running.presence import has_worker, present
from loopline.flows.shipping.code import load_flow
from loopline.flows.shipping.register import register_flow
from loopline.flows.task import task
from loopline.records.operations import GetFlow, ListAutomations, ListFlows
from loopline.schedules import IntervalSchedule, Schedule
from loopline.schedules.clocks import IntervalClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / ".loopline"
    close_recorders()


def taxi_flow(first_row: int = 0, minutes: int = 300) -> Flow:
    def evaluate(next_row: int) -> float:
        return 5.81 + next_row

    evaluate.__module__ = "__main__"  # As in a script: the tests' folder does not travel.
    schedule = IntervalSchedule(interval=timedelta(minutes=minutes))
    with Flow("wagonwab taxifare workflow", schedule=schedule) as flow:
        task(evaluate)(first_row)
    return flow


def register(flow: Flow, home: Path, **options: Any) -> tuple[str, list[str]]:  # noqa: ANN401
    said: list[str] = []
    flow_id = register_flow(flow, "wagoncab project", uri=str(home), say=said.append, **options)
    return flow_id, said


def test_registering_makes_a_missing_project_and_says_what_to_start(home: Path) -> None:
    _, said = register(taxi_flow(), home)
    assert said == [
        "Made project 'wagoncab project'.",
        f"Registered flow 'wagonwab taxifare workflow', version 1, in {home}.",
        "It runs every 5 hours.",
        "No worker is running here: `loopline up` starts one, with pages to look at.",
    ]


def test_a_schedule_must_give_what_a_run_needs(home: Path) -> None:
    flow = taxi_flow()
    flow.add_task(Parameter("month"))
    with pytest.raises(InvalidInputError, match="gives no value for: month"):
        register(flow, home)
    every_day = IntervalClock(timedelta(days=1), parameter_defaults={"month": "2023-01"})
    flow.schedule = Schedule(clocks=[every_day])
    register(flow, home)


def test_an_unchanged_flow_makes_no_new_version_and_a_changed_one_does(home: Path) -> None:
    first, _ = register(taxi_flow(), home)
    again, said = register(taxi_flow(), home)
    assert again == first
    assert said[0].startswith("Unchanged: flow 'wagonwab taxifare workflow', version 1")
    changed, said = register(taxi_flow(first_row=200_000), home)
    assert changed != first
    assert said[0].startswith("Registered flow 'wagonwab taxifare workflow', version 2")


def test_an_idempotency_key_decides_instead_of_the_content(home: Path) -> None:
    first, _ = register(taxi_flow(), home, idempotency_key="2022-03")
    assert register(taxi_flow(first_row=1), home, idempotency_key="2022-03")[0] == first
    assert register(taxi_flow(first_row=1), home, idempotency_key="2022-04")[0] != first


def test_labels_and_what_follows_a_death_belong_to_a_version(home: Path) -> None:
    plain, _ = register(taxi_flow(), home)
    labelled, said = register(taxi_flow(), home, labels=["gpu", "eu"], resume="no")
    assert labelled != plain
    assert "Only workers with its labels take it: `loopline worker --label eu --label gpu`." in said
    assert register(taxi_flow(), home, labels=["eu", "gpu"], resume="no")[0] == labelled
    version = get_recorder(str(home)).backend.call(GetFlow(flow_version_id=labelled))
    assert (version.labels, version.resume) == (["eu", "gpu"], "no")
    with pytest.raises(InvalidInputError, match="continue, restart, no"):
        register(taxi_flow(), home, resume="perhaps")


def test_a_flow_is_run_by_the_events_it_was_registered_with(home: Path) -> None:
    flow = taxi_flow()
    flow.triggers = [
        on_model_version("taxifare", parameters={"model": "{model}"}),
        on_stage("taxifare", "Production", version="version"),
        on_flow_run("load", ["Success"]),
    ]
    register(flow, home)
    register(flow, home)
    found = get_recorder(str(home)).backend.call(ListAutomations())
    assert {each.of_flow for each in found} == {f"wagoncab project/{flow.name}"}
    assert sorted((each.when.event, each.then.parameters.get("version")) for each in found) == [
        ("flow_run", None),
        ("model_version", None),
        ("stage", "{version}"),
    ]
    flow.triggers = []
    register(flow, home)
    assert get_recorder(str(home)).backend.call(ListAutomations()) == []


def test_an_unchanged_flow_stores_no_bytes_again(home: Path) -> None:
    register(taxi_flow(), home)
    stored = sorted((home / "blobs").rglob("*"))
    register(taxi_flow(), home)
    assert sorted((home / "blobs").rglob("*")) == stored


def test_what_was_registered_can_be_loaded_and_run(home: Path, tmp_path: Path) -> None:
    register(taxi_flow(first_row=2), home)
    backend = get_recorder(str(home)).backend
    version = backend.call(GetFlow(project="wagoncab project", name="wagonwab taxifare workflow"))
    assert version.code is not None
    flow = load_flow(version.code, lambda blob: b"".join(backend.read_blob(blob)), tmp_path / "b")
    assert flow.graph() == version.graph
    assert [each.run(next_row=2) for each in flow.tasks] == [7.81]


def test_a_schedule_can_be_stored_switched_off(home: Path) -> None:
    _, said = register(taxi_flow(), home, set_schedule_active=False)
    assert "It runs every 5 hours (switched off)." in said
    (flow,) = get_recorder(str(home)).backend.call(ListFlows(project="wagoncab project"))
    assert not flow.schedule_active


def test_a_worker_that_is_there_is_seen_and_one_that_is_gone_is_not(home: Path) -> None:
    assert not has_worker(home)
    with present(home, "mine"):
        assert has_worker(home)
        _, said = register(taxi_flow(), home)
    assert said[-1].startswith("A worker is running here.")
    (home / "workers" / "dead").touch()
    assert not has_worker(home)
    assert list((home / "workers").iterdir()) == []


def test_without_a_server_the_user_is_told_what_to_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(home))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with pytest.raises(BackendUnavailableError, match=f"{address}.*`loopline up`"):
        register_flow(taxi_flow(), "wagoncab project", uri=address)


def test_options_that_mean_nothing_here_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="project's name"):
        register_flow(taxi_flow(), None)
    with pytest.raises(UnsupportedError, match="version_group_id"):
        register_flow(taxi_flow(), "wagoncab project", version_group_id="a")
