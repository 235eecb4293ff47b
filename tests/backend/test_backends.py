"""One suite over every backend: facts in, answers out, bytes both ways."""

from __future__ import annotations

import math
import threading
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from tests.server.story import points, send

from loopline.errors import (
    AlreadyExistsError,
    ConflictError,
    FilterError,
    InvalidInputError,
    NotFoundError,
)
from loopline.journal.drain import DamagedFilesError
from loopline.records import facts
from loopline.records import operations as ops
from loopline.records.flows import FlowCode, FlowGraph, GraphTask, LogLine, StateKind
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.protocol import Backend

START_MS = 1_675_245_600_000


def start_run(backend: Backend, **fields: object) -> str:
    run_id = uuid.uuid4().hex
    started = facts.RunStarted(
        run_id=run_id,
        start_ms=START_MS,
        **{"experiment": "wagoncab taxifare", **fields},  # type: ignore[arg-type]
    )
    send(backend, started)
    return run_id


def register_flow(backend: Backend) -> str:
    name = f"taxifare {uuid.uuid4().hex[:8]}"
    backend.call(
        ops.RegisterFlow(
            project="wagoncab",
            name=name,
            fingerprint=uuid.uuid4().hex,
            graph=FlowGraph(tasks=[GraphTask(slug="train_model-1", name="train_model")]),
            code=FlowCode(kind="import", entry="flow:flow"),
        )
    )
    return name


def test_what_was_sent_is_read_back(backend: Backend) -> None:
    run_id = start_run(backend, name="night shift", user="vera")
    send(
        backend,
        facts.ParamsLogged(run_id=run_id, params={"row_count": "100000"}),
        facts.TagsSet(run_id=run_id, tags={"team": "fares"}),
        points(run_id, "rmse", [5.0, 3.74], start_ms=START_MS),
        facts.RunEnded(
            run_id=run_id, status=RunStatus.FINISHED, end_ms=START_MS + 9, duration_ms=9
        ),
    )

    run = backend.call(ops.GetRun(run_id=run_id))
    assert (run.name, run.user, run.status) == ("night shift", "vera", RunStatus.FINISHED)
    assert run.params == {"row_count": "100000"}
    assert run.tags["team"] == "fares"
    assert (run.metrics["rmse"].value, run.metrics["rmse"].max) == (3.74, 5.0)


def test_nan_and_infinities_survive_the_way(backend: Backend) -> None:
    run_id = start_run(backend)
    values = [math.inf, -math.inf, math.nan, 0.1 + 0.2]
    send(backend, points(run_id, "loss", values, start_ms=START_MS))

    history = backend.call(ops.GetMetricHistory(run_id=run_id, key="loss"))
    assert history.values[:2] == [math.inf, -math.inf]
    assert math.isnan(history.values[2])
    assert history.values[3] == 0.1 + 0.2


def test_a_batch_sent_twice_is_taken_once(backend: Backend) -> None:
    run_id = start_run(backend)
    batch = facts.Batch(
        writer=uuid.uuid4().hex,
        start=0,
        end=40,
        facts=[points(run_id, "rmse", [1.0, 2.0], start_ms=START_MS)],
    )

    assert backend.send(batch).acknowledged == 40
    assert backend.send(batch).acknowledged == 40
    assert backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse")).total == 2


def test_a_command_with_a_key_happens_once(backend: Backend) -> None:
    name = register_flow(backend)
    asked = ops.CreateFlowRun(project="wagoncab", name=name)
    key = uuid.uuid4().hex

    first = backend.call(asked, key=key)
    again = backend.call(asked, key=key)
    other = backend.call(asked)
    assert first == again
    assert other.flow_run_id != first.flow_run_id


def test_a_missing_run_is_a_not_found_error_with_the_next_step(backend: Backend) -> None:
    with pytest.raises(NotFoundError, match="loopline runs list"):
        backend.call(ops.GetRun(run_id="0" * 32))


def test_a_model_lives_its_life_in_the_registry(backend: Backend) -> None:
    name = f"taxifare {uuid.uuid4().hex[:8]}"
    backend.call(ops.CreateModel(name=name, tags={"team": "cabs"}, actor="vera"))
    with pytest.raises(AlreadyExistsError) as caught:
        backend.call(ops.CreateModel(name=name))
    assert str(caught.value).startswith(f"Registered Model (name={name}) already exists")
    for source in ("s3://bucket/1", "s3://bucket/2"):
        backend.call(ops.RegisterVersion(name=name, source=source, allow_empty=True))
    backend.call(ops.SetVersionTags(name=name, version=1, tags={"reviewed": "yes"}))
    backend.call(ops.TransitionStage(name=name, version=2, stage="staging"))
    with pytest.raises(InvalidInputError):
        backend.call(ops.TransitionStage(name=name, version=2, stage="None", archive_existing=True))

    new = f"{name} by night"
    backend.call(ops.RenameModel(name=name, new_name=new))
    (model,) = backend.call(ops.SearchModels(filter=f"name = '{new}'")).models
    assert (model.tags, model.champions, model.latest_version) == (
        {"team": "cabs"},
        {"Staging": 2},
        2,
    )
    text = f"name = '{new}' AND tags.reviewed = 'yes'"
    (version,) = backend.call(ops.SearchVersions(filter=text)).versions
    assert version == backend.call(ops.GetVersion(name=new, version=1))
    assert version.source == "s3://bucket/1"
    first = backend.call(ops.SearchVersions(filter=f"name = '{new}'", max_results=1))
    call = ops.SearchVersions(filter=f"name = '{new}'", page_token=first.next_page_token)
    assert len(backend.call(call).versions) == 1
    with pytest.raises(FilterError):
        backend.call(ops.SearchVersions(filter="stage = 'Staging'"))

    assert backend.call(ops.DeleteVersion(name=new, version=2)).champions == {}
    key = uuid.uuid4().hex
    was = backend.call(ops.DeleteModel(name=new), key=key)
    assert backend.call(ops.DeleteModel(name=new), key=key) == was
    with pytest.raises(NotFoundError, match=f"Registered Model with name={new} not found"):
        backend.call(ops.GetModel(name=new))


def test_a_wrong_filter_says_where_it_is_wrong(backend: Backend) -> None:
    with pytest.raises(FilterError) as caught:
        backend.call(ops.SearchRuns(filter="metrics.rmse << 4"))
    assert caught.value.text == "metrics.rmse << 4"
    assert caught.value.position > 0
    assert caught.value.expected


def test_a_wrong_argument_is_an_invalid_input_error(backend: Backend) -> None:
    with pytest.raises(InvalidInputError):
        backend.call(ops.SearchRuns(max_results=-1))


def test_a_lease_under_an_old_token_is_a_conflict(backend: Backend) -> None:
    register_flow(backend)
    with pytest.raises((ConflictError, NotFoundError)):
        backend.call(ops.RenewLease(flow_run_id="0" * 32, token=1))


def test_nothing_due_is_answered_with_none(backend: Backend) -> None:
    while backend.call(ops.ClaimFlowRun(worker="cab-7")) is not None:
        pass  # Other tests of this module left some.
    assert backend.call(ops.ClaimFlowRun(worker="cab-7")) is None


def test_pages_of_a_search_hold_every_run_once(backend: Backend) -> None:
    experiment = f"paged {uuid.uuid4().hex}"
    made = {start_run(backend, experiment=experiment) for _ in range(5)}
    found: list[str] = []
    token = ""
    while True:
        page = backend.call(
            ops.SearchRuns(experiment_names=[experiment], max_results=2, page_token=token)
        )
        found += [run.run_id for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == sorted(made)


def test_the_newest_log_lines_can_be_asked_for_by_level(backend: Backend) -> None:
    name = register_flow(backend)
    run = backend.call(ops.CreateFlowRun(project="wagoncab", name=name))
    levels = [10, 20, 30, 40, 20]
    lines = [
        LogLine(flow_run_id=run.flow_run_id, at_ms=START_MS + i, level=level, message=f"line {i}")
        for i, level in enumerate(levels)
    ]
    send(backend, facts.LogsWritten(lines=lines))

    def messages(**asked: object) -> list[str]:
        found = backend.call(ops.GetLogs(flow_run_id=run.flow_run_id, **asked))  # type: ignore[arg-type]
        return [line.message for line in found]

    assert messages() == [f"line {i}" for i in range(5)]
    assert messages(limit=2) == ["line 0", "line 1"]
    assert messages(limit=2, newest=True) == ["line 3", "line 4"]
    assert messages(least_level=30) == ["line 2", "line 3"]


def test_a_flow_run_is_claimed_worked_on_and_finished(backend: Backend) -> None:
    name = register_flow(backend)
    asked = backend.call(ops.CreateFlowRun(project="wagoncab", name=name, scheduled_ms=1))
    lease = backend.call(ops.ClaimFlowRun(worker="cab-7"))
    assert lease is not None
    assert lease.flow_run.flow_run_id == asked.flow_run_id
    run_id, token = asked.flow_run_id, lease.token

    def state(kind: StateKind, at_ms: int) -> facts.FlowRunState:
        return facts.FlowRunState(flow_run_id=run_id, state=kind, at_ms=at_ms, token=token)

    send(backend, state(StateKind.RUNNING, START_MS), state(StateKind.SUCCESS, START_MS + 5))
    assert backend.call(ops.GetFlowRun(flow_run_id=run_id)).state is StateKind.SUCCESS


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_blob_comes_back_as_it_went(backend: Backend, tmp_path: Path, size: int) -> None:
    content = (b"fare" * (size // 4 + 1))[:size]
    source = tmp_path / "model.bin"
    source.write_bytes(content)

    digest, length = backend.put_blob(source)
    assert (digest, length) == (sha256(content).hexdigest(), size)
    assert backend.put_blob(source) == (digest, length)
    assert backend.blob_size(digest) == size
    assert b"".join(backend.read_blob(digest)) == content
    with backend.open_blob(digest) as file:
        assert file.read() == content


def test_a_missing_blob_is_not_found(backend: Backend) -> None:
    missing = sha256(uuid.uuid4().bytes).hexdigest()
    with pytest.raises(NotFoundError):
        backend.blob_size(missing)
    with pytest.raises(NotFoundError):
        list(backend.read_blob(missing))
    with pytest.raises(NotFoundError):
        backend.open_blob(missing)


def test_facts_and_the_files_they_name_go_together(backend: Backend, tmp_path: Path) -> None:
    files = {}
    for content in (b"", uuid.uuid4().bytes, uuid.uuid4().bytes * 30_000):
        digest = sha256(content).hexdigest()
        files[digest] = tmp_path / digest
        files[digest].write_bytes(content)
    empty = facts.Batch(writer=uuid.uuid4().hex, start=0, end=0, facts=[])
    for _ in range(2):  # Also when they are there already.
        assert backend.deliver(empty, files).acknowledged == 0
    targets = {digest: tmp_path / "fetched" / digest for digest in files}
    backend.fetch_blobs(targets)
    assert {digest: path.read_bytes() for digest, path in targets.items()} == {
        digest: path.read_bytes() for digest, path in files.items()
    }


def test_facts_do_not_go_with_damaged_files(backend: Backend, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"not what it says")
    digest = sha256(uuid.uuid4().bytes).hexdigest()
    empty = facts.Batch(writer=uuid.uuid4().hex, start=0, end=0, facts=[])
    with pytest.raises(DamagedFilesError) as caught:
        backend.deliver(empty, {digest: damaged})
    assert caught.value.digests == {digest}
    with pytest.raises(NotFoundError):
        backend.fetch_blobs({digest: tmp_path / "fetched"})
    assert not (tmp_path / "fetched").exists()


def test_many_threads_may_use_it_at_once(backend: Backend) -> None:
    run_ids: list[str] = []

    def work() -> None:
        run_ids.extend(start_run(backend) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(run_ids)) == 20
    for run_id in run_ids:
        assert backend.call(ops.GetRun(run_id=run_id)).run_id == run_id


def test_other_questions_may_be_asked_while_a_blob_streams(
    backend: Backend, tmp_path: Path
) -> None:
    source = tmp_path / "trips.parquet"
    source.write_bytes(uuid.uuid4().bytes * 200_000)
    digest, _ = backend.put_blob(source)

    chunks = backend.read_blob(digest)
    first = next(iter(chunks))
    assert backend.call(ops.ListExperiments())
    assert first + b"".join(chunks) == source.read_bytes()
