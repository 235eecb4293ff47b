"""Context, secrets, key-value store, artifacts and notifications, as Prefect 1 has them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.flows.recording import ListRecorder

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.flows import Flow, context, secrets, task
from loopline.flows.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
    delete_artifact,
    update_link_artifact,
    update_markdown_artifact,
    update_table_artifact,
)
from loopline.flows.kv_store import delete_key, get_key_value, list_keys, set_key_value
from loopline.flows.notifications import gmail_notifier, slack_notifier, webhook_notifier
from loopline.flows.running.engine import run_flow
from loopline.flows.secrets import EnvVarSecret, PrefectSecret, Secret
from loopline.flows.states import Failed, Running
from loopline.records.operations import ListFlowArtifacts, ListFlowRuns, ListTaskRuns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARCH = datetime(2022, 3, 1, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record into a fresh home."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))
    yield tmp_path / ".loopline"
    close_recorders()


@task
def look_up(names: list[str]) -> dict[str, Any]:
    return {name: context.get(name) for name in names}


def looked_up(names: list[str], **values: Any) -> dict[str, Any]:  # noqa: ANN401 - context values
    with Flow("look") as flow:
        found = look_up(names)
    with context(**values):
        state = run_flow(flow, recorder=ListRecorder(), scheduled_start_time=MARCH)
    result: dict[str, Any] = state.result[found].result
    return result


def test_a_task_knows_its_day_and_itself() -> None:
    expected = {
        "today": "2022-03-01",
        "yesterday": "2022-02-28",
        "tomorrow": "2022-03-02",
        "today_nodash": "20220301",
        "date": MARCH,
        "scheduled_start_time": MARCH,
        "flow_name": "look",
        "task_name": "look_up",
        "map_index": -1,
        "task_run_count": 1,
        "no such thing": None,
    }
    assert looked_up(list(expected)) == expected


def test_what_surrounds_a_run_is_in_its_context_and_no_longer() -> None:
    assert looked_up(["bucket", "date"], bucket="taxi") == {"bucket": "taxi", "date": MARCH}
    assert context.get("bucket") is None
    with pytest.raises(AttributeError, match="bucket"):
        _ = context.bucket


def test_the_context_can_be_changed_for_the_rest_of_a_task() -> None:
    @task
    def change() -> tuple[Any, ...]:
        context.rows = 3
        context["months"] = 1
        context.update(cities=2)
        return context.rows, context["months"], context.cities, "rows" in context

    @task
    def after() -> bool:
        return "rows" in context

    with Flow("change") as flow:
        changed = change()
        later = after(upstream_tasks=[changed])
    state = run_flow(flow, recorder=ListRecorder())
    assert state.result[changed].result == (3, 1, 2, True)
    assert state.result[later].result is False
    assert context.to_dict() == {}


# --- secrets -------------------------------------------------------------------------------------

CANARY = "c4n4ry-0f-a-p4ssw0rd"


def test_secrets_come_from_context_environment_or_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE__CONTEXT__SECRETS__LOGIN", '{"user": "taxi"}')
    monkeypatch.setattr(secrets, "_store", [])
    assert Secret("LOGIN").get() == {"user": "taxi"}
    assert context.secrets["LOGIN"] == {"user": "taxi"}
    with context(secrets={"LOGIN": "mine"}):
        assert Secret("LOGIN").get() == "mine"
    with pytest.raises(NotFoundError, match="LOOPLINE__CONTEXT__SECRETS__KEY"):
        Secret("KEY").get()
    secrets.use_store({"KEY": CANARY}.__getitem__)
    assert Secret("KEY").get() == CANARY
    assert not Secret("OTHER").exists()


def test_a_secret_is_nowhere_in_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE__CONTEXT__SECRETS__PASSWORD", CANARY)
    monkeypatch.setenv("TAXI_TOKEN", CANARY)

    @task
    def connect(password: str, token: str) -> int:
        return len(password) + len(token)

    with Flow("connect") as flow:
        connected = connect(PrefectSecret("PASSWORD"), EnvVarSecret("TAXI_TOKEN"))
    assert flow.run().result[connected].result == 2 * len(CANARY)
    get_recorder().flush()
    close_recorders()
    found = [path for path in home.rglob("*") if path.is_file()]
    assert found
    assert not [path for path in found if CANARY.encode() in path.read_bytes()]


def test_a_variable_that_is_not_set_is_none_or_fails() -> None:
    assert EnvVarSecret("NOT_SET").run() is None
    with pytest.raises(NotFoundError, match="NOT_SET"):
        EnvVarSecret("NOT_SET", raise_if_missing=True).run()


# --- key-value store -----------------------------------------------------------------------------


def test_values_are_kept_by_key_across_processes() -> None:
    assert set_key_value("last month", {"month": "2022-03", "rows": [1, None]}) == "last month"
    set_key_value("champion", 3)
    set_key_value("champion", 4)
    close_recorders()
    assert get_key_value("champion") == 4
    assert get_key_value("last month") == {"month": "2022-03", "rows": [1, None]}
    assert list_keys() == ["champion", "last month"]
    assert delete_key("champion")
    assert not delete_key("champion")
    with pytest.raises(NotFoundError, match="champion"):
        get_key_value("champion")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("x", object()),
        ("x", float("nan")),
        ("", 1),
        ("k" * 1001, 1),
        ("a\0b", 1),
        ("x", "y" * 70000),
    ],
)
def test_what_cannot_be_kept_is_refused(key: str, value: object) -> None:
    with pytest.raises(InvalidInputError):
        set_key_value(key, value)
    assert list_keys() == []


# --- artifacts -----------------------------------------------------------------------------------


def artifacts() -> list[tuple[str, int, str, Any]]:
    recorder = get_recorder()
    (flow_run,) = recorder.call(ListFlowRuns()).flow_runs
    found = recorder.call(ListFlowArtifacts(flow_run_id=flow_run.flow_run_id))
    return sorted(
        (each.task_slug, each.map_index, each.kind, json.loads(each.data)) for each in found
    )


def test_artifacts_are_shown_with_the_flow_run() -> None:
    @task
    def report(city: str) -> None:
        create_markdown_artifact(f"# {city}")

    @task
    def more() -> None:
        link = create_link_artifact("https://example.org/old")
        update_link_artifact(link, "https://example.org/new")
        text = create_markdown_artifact("old")
        update_markdown_artifact(text, "new")
        table = create_table_artifact([{"month": 1}])
        update_table_artifact(table, {"month": [1, 2], "rmse": [3.9, 4.1]})
        delete_artifact(create_markdown_artifact("gone"))

    with Flow("report") as flow:
        report.map(["Paris", "Lagos"])
        more()
    assert flow.run().is_successful()
    (flow_run,) = get_recorder().call(ListFlowRuns()).flow_runs
    told = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "flow-runs", "show", flow_run.flow_run_id],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "2 rows of month, rmse" in told
    assert "https://example.org/new" in told
    assert "# Lagos" in told
    assert artifacts() == [
        ("more-1", -1, "link", {"link": "https://example.org/new"}),
        ("more-1", -1, "markdown", {"markdown": "new"}),
        ("more-1", -1, "table", {"columns": ["month", "rmse"], "rows": [[1, 3.9], [2, 4.1]]}),
        ("report-1", 0, "markdown", {"markdown": "# Paris"}),
        ("report-1", 1, "markdown", {"markdown": "# Lagos"}),
    ]


def test_artifacts_are_made_in_tasks_and_are_what_they_say() -> None:
    with pytest.raises(InvalidInputError, match="No task is running"):
        create_markdown_artifact("x")
    with pytest.raises(InvalidInputError, match="no address"):
        create_link_artifact("report.html")
    with pytest.raises(InvalidInputError, match="no table"):
        create_table_artifact(3)


# --- notifications -------------------------------------------------------------------------------


@pytest.fixture
def posted() -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps what is posted to it."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            bodies.append(json.loads(self.rfile.read(size)))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@task
def fail() -> None:
    raise ValueError("no trips")


def test_slack_and_webhooks_are_told_of_failures(
    posted: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bodies = posted
    monkeypatch.setenv("LOOPLINE__CONTEXT__SECRETS__SLACK_WEBHOOK_URL", f"{url}/slack")
    handlers = [
        slack_notifier(only_states=[Failed]),
        webhook_notifier(url, ignore_states=[Running]),
    ]
    with Flow("telling") as flow:
        fail(task_args={"state_handlers": handlers})
    run_flow(flow, recorder=ListRecorder(), flow_run_id="f" * 32)
    slack, webhook = bodies
    (attachment,) = slack["attachments"]
    assert (attachment["title"], attachment["text"]) == ("fail: Failed", "ValueError: no trips")
    assert webhook == {
        "name": "fail",
        "state": "Failed",
        "message": "ValueError: no trips",
        "flow_name": "telling",
        "flow_run_id": "f" * 32,
    }


@pytest.mark.parametrize("address", ["/broken", "nonsense"])
def test_what_cannot_be_told_changes_nothing(posted: tuple[str, list[Any]], address: str) -> None:
    url = posted[0] + address if address.startswith("/") else address
    recorder = ListRecorder()
    handlers = [webhook_notifier(url), slack_notifier(), gmail_notifier(only_states=[Failed])]
    with Flow("telling") as flow:
        failed = fail(task_args={"state_handlers": handlers})
    state = run_flow(flow, recorder=recorder)
    assert state.result[failed].message == "ValueError: no trips"
    assert [line for *_, line in recorder.lines() if "Nobody could be told" in line]
    assert not [line for *_, line in recorder.lines() if address in line]


def test_a_webhook_has_one_address() -> None:
    with pytest.raises(InvalidInputError, match="either"):
        webhook_notifier()


# --- runs inside ---------------------------------------------------------------------------------


def test_a_tracked_run_in_a_task_is_a_child_of_the_task_run() -> None:
    from loopline.flows.signals import LOOP

    @task
    def train() -> str:
        with loopline.start_run() as run:
            loopline.log_metric("rmse", 3.9)
        if context.get("task_loop_count", 1) < 2:
            raise LOOP(result=run.run_id)
        return str(context.task_loop_result)

    with Flow("tracked") as flow:
        trained = train()
    run_id = flow.run().result[trained].result
    recorder = get_recorder()
    (flow_run,) = recorder.call(ListFlowRuns()).flow_runs
    found = loopline.get_run(run_id)
    assert recorder.call(ListTaskRuns(flow_run_id=flow_run.flow_run_id))[0].task_slug == "train-1"
    assert flow_run.flow_run_id in str(found)
