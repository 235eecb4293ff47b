"""Results of tasks kept in real buckets: S3's, Azure's and Google's protocols."""

from __future__ import annotations

import json
import os
import signal
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.blobs.servers import ACCOUNT, BUCKET, KEY, SERVERS
from tests.worker.workshop import Workshop, wait

from loopline.backend.recorder import get_recorder
from loopline.blobs.objects import open_objects
from loopline.compat.prefect.engine.results import AzureResult as MovedAzureResult
from loopline.compat.prefect.engine.results import S3Result as MovedS3Result
from loopline.errors import InvalidInputError, NotFoundError
from loopline.executors import ProcessExecutor
from loopline.flows import Flow, Parameter, context, task
from loopline.flows.result_types import AzureResult, GCSResult, ResultType, S3Result
from loopline.flows.serializers import JSONSerializer
from loopline.records.flows import StateKind
from loopline.records.operations import ListFlowRunEvents, ListFlowRuns, ListTaskRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.blobs.servers import Served

TYPES: dict[str, Callable[..., ResultType]] = {
    "s3": S3Result, "azure": AzureResult, "google": GCSResult,
}  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        "s3",
        pytest.param("azure", marks=pytest.mark.deep),
        pytest.param("google", marks=pytest.mark.deep),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Served]]:
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as served:
        yield request.param, served


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))


@pytest.fixture
def kept(server: tuple[str, Served], monkeypatch: pytest.MonkeyPatch) -> Callable[..., ResultType]:
    """Give the result type of a bucket that the environment knows how to reach."""
    name, served = server
    for variable, value in served.environment.items():
        monkeypatch.setenv(variable, value)
    return TYPES[name]


@pytest.fixture
def place() -> str:
    """Give a folder in the bucket that no other test uses."""
    return uuid.uuid4().hex


def test_a_result_is_written_read_and_found(kept: Callable[..., ResultType], place: str) -> None:
    result = kept(BUCKET, location=place + "/{month}/trips")
    assert not result.exists(f"{place}/2022-03/trips")
    written = result.write({"fares": [12.5, 8.0]}, month="2022-03")
    assert written.location == f"{place}/2022-03/trips"
    assert result.exists(place + "/{month}/trips", month="2022-03")
    assert result.read(f"{place}/2022-03/trips").value == {"fares": [12.5, 8.0]}
    with pytest.raises(NotFoundError, match="No result"):
        result.read(f"{place}/2022-04/trips")


@pytest.mark.parametrize("executor", [None, ProcessExecutor(1)], ids=["here", "process"])
def test_a_target_is_written_once_and_then_read(
    kept: Callable[..., ResultType],
    server: tuple[str, Served],
    place: str,
    tmp_path: Path,
    executor: ProcessExecutor | None,
) -> None:
    notes = tmp_path / "notes"

    @task(
        result=kept(BUCKET, serializer=JSONSerializer()),
        target=place + "/{flow_name}/{month}-{rows}.json",
    )
    def load(month: str, notes: str) -> dict[str, str]:
        with open(notes, "a") as file:  # noqa: PTH123 - in another process
            file.write(month + "\n")
        return {"month": month}

    with Flow("targets") as flow:
        Parameter("rows", 3)()
        loaded = load(Parameter("month"), str(notes))
    first = flow.run(month="2022-03", executor=executor).result[loaded]
    again = flow.run(month="2022-03", executor=executor).result[loaded]
    flow.run(month="2022-04", executor=executor)

    chunks = open_objects(server[1].url).read(f"{place}/targets/2022-03-3.json")
    assert chunks is not None
    assert json.loads(b"".join(chunks)) == {"month": "2022-03"}
    assert (first.kind, again.kind) == (StateKind.SUCCESS, StateKind.CACHED)
    assert first.result == again.result == {"month": "2022-03"}
    assert notes.read_text().splitlines() == ["2022-03", "2022-04"]


def test_each_child_of_a_map_has_a_target_of_its_own(
    kept: Callable[..., ResultType], server: tuple[str, Served], place: str
) -> None:
    @task(result=kept(BUCKET), target=place + "/{month}.pickle")
    def load(month: str) -> str:
        return month

    with Flow("targets") as flow:
        loaded = load.map(["2022-03", "2022-04"])
    assert flow.run().result[loaded].result == ["2022-03", "2022-04"]
    names = {found.key for found in open_objects(server[1].url).list(place)}
    assert names == {f"{place}/2022-03.pickle", f"{place}/2022-04.pickle"}


def test_a_cache_finds_results_that_lie_in_a_bucket(
    kept: Callable[..., ResultType], place: str
) -> None:
    runs: list[str] = []

    @task(
        result=kept(BUCKET, location=place + "/{flow_name}/trips"),
        cache_for=timedelta(hours=1),
        cache_key=place,
    )
    def load() -> str:
        runs.append("load")
        return "trips" * 200

    with Flow("cached") as flow:
        loaded = load()
    flow.run()
    again = flow.run().result[loaded]
    assert (again.kind, again.result, runs) == (StateKind.CACHED, "trips" * 200, ["load"])
    newest = get_recorder().call(ListFlowRuns(flow_name="cached")).flow_runs[0]
    (run,) = get_recorder().call(ListTaskRuns(flow_run_id=newest.flow_run_id))
    assert run.result == f'at:["load-1", "{place}/cached/trips"]'


RESUMED = """
    from loopline.flows.result_types import {kind}

    @task(result={kind}({bucket!r}, location="{place}/{{flow_name}}/{{task_name}}"))
    def extract():
        note("extract")
        return "trips" * 200

    @task
    def train(trips):
        note(f"train on {{len(trips)}}")
        wait_for("enough")
        return len(trips)

    with Flow("retrain") as flow:
        train(extract())
    flow.register("wagoncab project")
"""


@pytest.mark.deep
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("is_lost", [False, True], ids=["kept", "lost"])
def test_a_worker_goes_on_from_results_in_a_bucket(
    server: tuple[str, Served],
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_lost: bool,
) -> None:
    monkeypatch.delenv("LOOPLINE_HOME")
    workshop = Workshop(tmp_path)
    try:
        kind = TYPES[server[0]].__name__
        workshop.register(RESUMED.format(kind=kind, bucket=BUCKET, place=place))
        flow_run_id = workshop.ask_for_run("retrain")
        worker = workshop.start_worker("first", lease_s=1)
        workshop.wait_for_note("train on 1000")
        os.kill(worker.pid, signal.SIGKILL)
        if is_lost:
            open_objects(server[1].url).delete([f"{place}/retrain/extract"])
        workshop.start_worker("second", lease_s=1)
        wait(lambda: workshop.notes().count("train on 1000") == 2)
        workshop.allow("enough")
        workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
        events = workshop.backend.call(ListFlowRunEvents(flow_run_id=flow_run_id))
    finally:
        workshop.close()

    extracted = [each.state for each in events if each.task_slug == "extract-1"]
    # What cannot be read any more is made again, and nothing else is.
    assert extracted.count(StateKind.SUCCESS) == 1 + is_lost
    assert workshop.notes().count("extract") == 1 + is_lost
    assert workshop.notes()[-1] == "train on 1000"


@pytest.mark.parametrize("how", ["boto3_kwargs", "credentials", "context"])
def test_options_of_prefects_s3_result_reach_a_bucket_without_the_environment(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with SERVERS["s3"](tmp_path) as served:
        for name in served.environment:
            monkeypatch.delenv(name, raising=False)
        found = served.environment
        where = {"region_name": "us-east-1", "endpoint_url": found["AWS_ENDPOINT_URL"]}
        named = {"ACCESS_KEY": "vera", "SECRET_ACCESS_KEY": "canary"}
        options: dict[str, dict[str, Any]] = {
            "boto3_kwargs": {"aws_access_key_id": "vera", "aws_secret_access_key": "canary"},
            "credentials": {"credentials": named},
            "context": {},
        }
        secrets = {"AWS_CREDENTIALS": named} if how == "context" else {}
        result = MovedS3Result(
            BUCKET,
            boto3_kwargs=options[how] | where,
            upload_options={"ServerSideEncryption": "AES256"},
        )
        with context(secrets=secrets):
            location = f"{place}/trips"
            result.location = location
            result.write([1, 2])
            assert result.read(location).value == [1, 2]


@pytest.mark.deep
@pytest.mark.parametrize("how", ["given", "environment", "secret"])
def test_a_connection_string_reaches_a_container(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with SERVERS["azure"](tmp_path) as served:
        for name in served.environment:
            monkeypatch.delenv(name, raising=False)
        endpoint = served.environment["AZURE_STORAGE_ENDPOINT"]
        text = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={endpoint};"
        )
        if how == "environment":
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        result = MovedAzureResult(
            BUCKET,
            connection_string=text if how == "given" else None,
            connection_string_secret="AZURE" if how == "secret" else None,
            location=f"{place}/trips",
        )
        with context(secrets={"AZURE": text}):
            result.write([1, 2])
            assert result.read(f"{place}/trips").value == [1, 2]


def test_what_a_bucket_cannot_be_told_is_refused_when_the_flow_is_built() -> None:
    with pytest.raises(InvalidInputError, match=r"upload_options\['ACL'\].*SSEKMSKeyId"):
        S3Result("wagoncab", upload_options={"ACL": "public-read"})
    with pytest.raises(InvalidInputError, match=r"boto3_kwargs\['use_ssl'\].*endpoint_url"):
        S3Result("wagoncab", boto3_kwargs={"use_ssl": False})
    with pytest.raises(InvalidInputError, match="GCSResult needs the name of its bucket"):
        GCSResult()
    with pytest.raises(InvalidInputError, match="AccountName") as caught:
        AzureResult("wagoncab", connection_string="hunter2", location="trips").write(1)
    assert "hunter2" not in str(caught.value)


def test_a_result_that_cannot_be_kept_fails_its_task_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SERVERS["s3"](tmp_path) as served:
        for variable, value in served.environment.items():
            monkeypatch.setenv(variable, value)

        @task(result=S3Result("no-such-bucket", location="trips"))
        def load() -> str:
            return "trips"

        with Flow("kept") as flow:
            loaded = load()
        state = flow.run().result[loaded]
    assert state.is_failed()
    assert "s3://no-such-bucket" in state.message
