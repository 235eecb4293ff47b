"""The pages: what people see, safe for any name, and saying what to do when there is nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.server import story
from tests.server.running import Answer, ask, running
from tests.server.test_html import read
from tests.store.flow_story import ask as ask_for_run
from tests.store.flow_story import register

from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.conftest import Served

FLOW_PATH = f"/flows/{quote(story.PROJECT)}/{quote(story.FLOW)}"
HOSTILE_FLOW_PATH = (
    f"/flows/{quote(story.HOSTILE, safe='')}/{quote('a/b ' + story.HOSTILE, safe='')}"
)
PATHS = (
    "/",
    "/experiments",
    "/experiments/1",
    "/experiments/2",
    "/runs",
    "/runs?filter=metrics.rmse+%3C+4&order=metrics.rmse+ASC",
    f"/runs/{story.run_id(1)}",
    f"/runs/{story.run_id(1)}?path=model",
    f"/runs/{story.run_id(11)}",
    f"/runs/{story.run_id(12)}",
    f"/runs/{story.run_id(13)}",
    "/models",
    f"/models/{story.MODEL}",
    f"/models/{story.MODEL}/versions/1",
    "/logged-models",
    "/logged-models?filter=metrics.rmse+%3C+4&experiment=1",
    "/logged-models?filter=metrics.rmse+%3C",
    f"/logged-models/{story.model_id(1)}",
    f"/logged-models/{story.model_id(2)}",
    f"/logged-models/{story.model_id(3)}",
    "/flows",
    FLOW_PATH,
    HOSTILE_FLOW_PATH,
    "/flow-runs",
    "/flow-runs?show=Failed",
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Address("home", str(tmp_path_factory.mktemp("empty") / ".loopline"))) as url:
        yield url


def page(served: Served, path: str) -> str:
    answer = ask(served.url, "GET", path)
    assert answer.status == 200, answer.text
    return answer.text


def title(text: str) -> str:
    found = re.search(r"<title>(.*?)</title>", text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_safe_and_needs_no_script(served: Served, path: str) -> None:
    seen = read(page(served, path))
    names = [name for name, _ in seen.elements]
    assert names[0] == "html"
    assert not {"style", "iframe", "object"} & set(names)
    scripts = [attributes for name, attributes in seen.elements if name == "script"]
    assert len(scripts) == (path == "/")  # Home alone has one, which follows MLflow's links.
    for script in scripts:
        allowed = ask(served.url, "GET", path).headers["Content-Security-Policy"]
        assert allowed.endswith(f"; script-src '{script['integrity']}'")
    for _, attributes in seen.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"]
        address = attributes.get("href") or attributes.get("src") or "/"
        assert address.startswith(("/", "#"))


@pytest.mark.parametrize("path", PATHS)
def test_every_link_of_a_page_leads_somewhere(served: Served, path: str) -> None:
    links = {
        attributes.get("href") or attributes.get("src") or "/"
        for _, attributes in read(page(served, path)).elements
    }
    for link in {link.partition("#")[0] for link in links} - {""}:
        assert ask(served.url, "GET", link).status == 200, link


@pytest.mark.parametrize("number", range(8))
def test_a_flow_runs_page_shows_its_picture_tasks_and_log(served: Served, number: int) -> None:
    path = f"/flow-runs/{served.flow_runs[number]}"
    text = page(served, path)
    assert title(text) == f"night-shift-{number + 1} · Loopline"
    for words in ("train_model-1", "8 % of passenger_count imputed", "cab-7"):
        assert words in text
    picture = ask(served.url, "GET", f"{path}/picture.svg")
    assert picture.headers["Content-Type"] == "image/svg+xml"
    assert picture.headers["Content-Security-Policy"].startswith("sandbox")
    assert "train_model" in picture.text


def test_a_failed_flow_run_says_why(served: Served) -> None:
    text = read(page(served, f"/flow-runs/{served.flow_runs[2]}")).text
    assert "ValueError: no rows in chunk 2022-12" in text
    assert "Trigger failed" in text
    assert f"loopline flow-runs retry {served.flow_runs[2][:8]}" in text


def test_of_a_map_what_failed_has_a_row_and_few_of_what_did_not(tmp_path: Path) -> None:
    from loopline.backend.local import LocalBackend
    from loopline.records import facts, flows

    home = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(home)
    run = facts.FlowRunState(
        flow_run_id="a" * 32, state=flows.StateKind.PAUSED, at_ms=1, flow_name="score"
    )
    elements = [
        facts.TaskRunState(
            flow_run_id="a" * 32,
            task_slug="score-1",
            map_index=index,
            state=flows.StateKind.FAILED if index == 77 else flows.StateKind.SUCCESS,
            at_ms=2,
        )
        for index in range(100)
    ]
    story.send(backend, run, *elements, *elements, *elements)
    backend.close()
    with running(home) as url:
        tasks, history = ask(url, "GET", f"/flow-runs/{'a' * 32}").text.split(">History")
    text = read(tasks).text
    assert "loopline flow-runs resume aaaaaaaa" in text
    shown = [f"score-1[{index}]" in text for index in (77, 18, 19)]
    assert shown == [True, True, False]  # Twenty: the one that failed, and the first nineteen.
    assert "And 80 more task runs." in text
    assert "score-1[99]" in history
    assert "The newest 200 changes." in history


def test_a_page_refreshes_itself_only_while_something_runs(served: Served) -> None:
    assert 'http-equiv="refresh"' in page(served, f"/flow-runs/{served.flow_runs[7]}")
    assert 'http-equiv="refresh"' in page(served, f"/runs/{story.run_id(12)}")
    assert 'http-equiv="refresh"' not in page(served, f"/flow-runs/{served.flow_runs[0]}")
    assert 'http-equiv="refresh"' not in page(served, f"/runs/{story.run_id(1)}")


def test_a_logged_models_page_tells_what_was_measured_and_gives_its_files(served: Served) -> None:
    path = f"/logged-models/{story.model_id(1)}"
    text = page(served, path)
    assert title(text) == "night fares · Loopline"
    shown = read(text).text
    for words in (
        "Ready",
        "regressor",
        "green taxi 2022-12",
        "3.91",
        "night_fares v1",
        f'loopline.load_model("models:/{story.model_id(1)}")',
    ):
        assert words in shown
    file = ask(served.url, "GET", f"{path}/artifacts/model.skops")
    assert (file.status, file.body[:7]) == (200, b"a model")
    assert "attachment" in file.headers["Content-Disposition"]
    for gone in (f"{path}/artifacts/none.bin", f"/logged-models/{story.model_id(4)}"):
        assert ask(served.url, "GET", gone).status == 404


def test_the_pages_of_a_run_and_an_experiment_lead_to_their_logged_models(served: Served) -> None:
    for path in (f"/runs/{story.run_id(1)}", "/logged-models?filter=name+%3D+%27night+fares%27"):
        assert f'href="/logged-models/{story.model_id(1)}"' in page(served, path)
    of_run = read(page(served, f"/runs/{story.run_id(12)}")).text
    for words in ("night fares", "read", "day fares", "made at step 2"):
        assert words in of_run
    assert "deleted" in read(page(served, f"/runs/{story.run_id(1)}")).text
    experiments = [page(served, f"/experiments/{number}") for number in (1, 2)]
    assert sum("day fares" in text for text in experiments) == 1
    assert "Logged models" not in page(served, f"/runs/{story.run_id(2)}")
    wrong = read(page(served, "/logged-models?filter=metrics.rmse+%3C")).text
    assert "metrics.rmse <" in wrong


def test_log_lines_are_filtered_by_level(served: Served) -> None:
    text = page(served, f"/flow-runs/{served.flow_runs[2]}?level=error")
    assert "passenger_count imputed" not in text
    assert "no rows in chunk" in text


def test_home_tells_what_runs_what_is_in_production_and_what_comes_next(served: Served) -> None:
    text = read(page(served, "/")).text
    for words in (
        "night-shift-8",
        "still training",
        f"{story.MODEL} v5",
        "rmse 4.46",
        "every 5 hours",
    ):
        assert words in text


def test_a_search_shows_the_runs_found_in_order(served: Served) -> None:
    text = page(served, "/runs?filter=metrics.rmse+%3C+4&order=metrics.rmse+DESC")
    found = re.findall(r"train on \d{4}-\d\d", read(text).text)
    assert found == ["train on 2022-12", "train on 2022-08", "train on 2022-03"]


def test_a_wrong_filter_is_shown_at_its_character(served: Served) -> None:
    seen = read(page(served, "/runs?filter=metrics.rmse+~+4"))
    assert "at character 14" in seen.text
    assert "metrics.rmse ~ 4\n               ^" in seen.text
    assert dict(seen.elements)["input"]["value"] == "metrics.rmse ~ 4"


def test_a_hostile_filter_stays_text(served: Served) -> None:
    text = page(served, f"/runs?filter={quote(story.HOSTILE)}&order={quote(story.HOSTILE)}")
    assert "<script" not in text


def test_a_run_shows_its_numbers_files_data_and_what_was_refused(served: Served) -> None:
    text = read(page(served, f"/runs/{story.run_id(1)}")).text
    for words in (
        "train on 2022-03",
        "3.74",
        "68,211",
        "report.html",
        "green taxi 2022-03",
        "4f1d2c",
    ):
        assert words in text
    dead = read(page(served, f"/runs/{story.run_id(11)}")).text
    assert "process died (pid 4242 on cab-7)" in dead
    assert "refused for good" in dead


def test_a_run_shows_its_pictures_and_no_other_file_as_one(served: Served) -> None:
    path = f"/runs/{story.run_id(1)}"
    shown = [
        source
        for name, attributes in read(page(served, path)).elements
        if name == "img" and "/artifacts/" in (source := attributes.get("src") or "")
    ]
    assert shown == [f"{path}/artifacts/fare%20error.svg"]
    picture = ask(served.url, "GET", shown[0])
    assert picture.headers["Content-Type"] == "image/svg+xml"
    report = ask(served.url, "GET", f"{path}/artifacts/report.html")
    assert report.headers["Content-Type"] == "application/octet-stream"
    for answer in (picture, report):  # Opened by itself, neither runs anything.
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_flow_tells_how_to_run_it_with_what_it_needs(tmp_path: Path) -> None:
    from loopline.backend.local import LocalBackend
    from loopline.records import facts, flows, operations

    home = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(home)
    graph = flows.FlowGraph(parameters=[flows.ParameterSpec(name="month", required=True)])
    backend.call(
        operations.RegisterFlow(
            project="taxi",
            name="retrain",
            fingerprint="0" * 64,
            graph=graph,
            code=flows.FlowCode(kind="import", entry="flow:flow"),
        )
    )
    by_hand = facts.FlowRunState(
        flow_run_id="a" * 32, state=flows.StateKind.SUCCESS, at_ms=1, flow_name="retrain"
    )
    story.send(backend, by_hand)
    backend.close()
    with running(home) as url:
        text = read(ask(url, "GET", "/flows/taxi/retrain").text).text
    assert "loopline flows run taxi/retrain --param month=…" in text
    assert "flows schedule" not in text
    assert "aaaaaaaa" in text


def test_a_flow_run_that_waits_says_for_which_worker(tmp_path: Path) -> None:
    from loopline.backend.local import LocalBackend
    from loopline.records import operations

    home = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(home)
    register(backend)
    backend.call(
        operations.ReportWorker(
            worker_id="a", name="night", host="box", pid=7, slots=1, labels=["cpu"]
        )
    )
    flow_run_id = ask_for_run(backend, labels=["gpu"])
    backend.close()
    why = "a worker with the label gpu: those here have the label cpu"
    with running(home) as url:
        text = read(ask(url, "GET", f"/flow-runs/{flow_run_id}").text).text
        listed = read(ask(url, "GET", "/flow-runs").text).text
        paused = read(ask(url, "GET", "/flow-runs?show=Paused").text).text
    assert f"It waits for {why}." in text
    assert "loopline worker --label gpu" in text
    assert f"waits for {why}" in listed
    assert "No flow run is paused." in paused


def test_a_chart_draws_the_metric(served: Served) -> None:
    chart = ask(served.url, "GET", f"/runs/{story.run_id(1)}/chart.svg?key=val_rmse")
    assert chart.status == 200
    assert "120 points" in chart.text
    missing = ask(served.url, "GET", f"/runs/{story.run_id(1)}/chart.svg?key=nothing")
    assert missing.status == 404


def test_a_model_tells_who_moved_which_version_and_why(served: Served) -> None:
    text = read(page(served, f"/models/{story.MODEL}")).text
    for words in (
        "Production",
        "Archived",
        "@champion",
        "gate",
        "23 % better",
        "trained for 2023-02",
    ):
        assert words in text


def test_thousands_of_runs_are_paged(tmp_path: Path) -> None:
    from loopline.backend.local import LocalBackend
    from loopline.records.facts import RunStarted

    home = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(home)
    runs = [
        RunStarted(run_id=story.run_id(n), experiment="many", name=f"cab {n}", start_ms=n + 1)
        for n in range(250)
    ]
    story.send(backend, *runs)
    backend.close()
    seen: set[str] = set()
    with running(home) as url:
        path = "/experiments/1"
        for _ in range(3):
            text = ask(url, "GET", path).text
            seen |= set(re.findall(r">(cab \d+)<", text))
            following = re.search(r'href="([^"]*page=[^"]*)"', text)
            path = following[1].replace("&amp;", "&") if following else ""
    assert path == ""
    assert len(seen) == 250


@pytest.mark.parametrize(
    "path", ["/", "/runs", "/experiments/0", "/models", "/flows", "/flow-runs"]
)
def test_an_empty_page_says_what_to_do_next(empty: str, path: str) -> None:
    answer = ask(empty, "GET", path)
    assert answer.status == 200
    assert "<pre><code>" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/runs/nothing", "/runs/a/b/c", "/models/none", "/flows/a/b", "/flow-runs/x",
     "/experiments/9", "/experiments/x", "/experiments/" + "9" * 40, "/runs/", "/runs/%00",
     "/runs?page=" + "9" * 50, "/static/x/../../app.py", "/static/1/nothing.css",
     "/flow-runs?page=x"],
)  # fmt: skip
def test_a_page_that_is_not_there_says_so_as_a_page(served: Served, path: str) -> None:
    answer: Answer = ask(served.url, "GET", path)
    assert answer.status in {400, 404}, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "start page" in answer.text
