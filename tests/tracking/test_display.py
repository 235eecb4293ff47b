"""What a notebook shows of runs, experiments and models: helpful, and no text becomes markup."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loopline
from loopline.records.base import Lifecycle
from loopline.records.registry import ModelVersion, RegisteredModel, Stage, VersionEvent
from loopline.records.tracking import Experiment, MetricSummary, Run, RunStatus
from loopline.registry.found import Events, Models, Versions
from loopline.tracking.found import Experiments, Runs

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
ELEMENTS = {"div", "span", "b", "table", "thead", "tbody", "tr", "td", "th"}


class Reader(HTMLParser):
    """Reads HTML and notes its elements, attributes and text; open elements must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def run_of(text: str) -> Run:
    point = MetricSummary(value=3.9, timestamp_ms=1, min=3.9, max=4.5, mean=4.0, count=3)
    return Run(
        run_id=text,
        experiment_id=text,
        experiment_name=text,
        name=text,
        status=RunStatus.FAILED,
        lifecycle=Lifecycle.DELETED,
        start_ms=1_641_000_000_000,
        end_ms=1_641_000_005_000,
        duration_ms=5000,
        user=text,
        end_reason=text,
        parent_run_id=text,
        params={text: text},
        tags={text: text, "mlflow.note.content": text},
        metrics={text: point},
    )


def shown(text: str) -> list[str]:
    """Show everything there is, with one text wherever a text can stand."""
    run = run_of(text)
    experiment = Experiment(
        experiment_id=text, name=text, created_ms=1, updated_ms=2, tags={text: text}
    )
    model = RegisteredModel(
        name=text,
        description=text,
        created_ms=1,
        updated_ms=2,
        champions={text: 1},
        aliases={text: 1},
    )
    version = ModelVersion(
        name=text,
        version=1,
        run_id=text,
        artifact_path=text,
        stage=Stage.PRODUCTION,
        aliases=[text],
        description=text,
        digest=text,
        created_ms=1,
        updated_ms=2,
        actor=text,
        tags={text: text},
        metrics={text: math.nan},
        params={text: text},
    )
    event = VersionEvent(
        name=text, version=1, at_ms=1, kind=text, before=text, after=text, actor=text, reason=text
    )
    things = (
        *(run, experiment, model, version),
        *(Runs([run]), Experiments([experiment])),
        *(Models([model]), Versions([version]), Events([event])),
    )
    pages = [thing._repr_html_() for thing in things]
    assert all(page is not None for page in pages)
    return [page for page in pages if page is not None]


@pytest.mark.parametrize("text", [HOSTILE, "</td></table>", "a&b", "\u202egnp.exe", ""])
def test_hostile_names_stay_text(text: str) -> None:
    for page in shown(text):
        read = Reader(page)
        assert read.elements <= ELEMENTS
        assert read.attributes <= {"style", "class"}
        if text:
            assert any(text[:79] in part for part in read.text), page


@given(st.text())
def test_no_text_at_all_becomes_markup(text: str) -> None:
    for page in shown(text):
        read = Reader(page)
        assert read.elements <= ELEMENTS
        assert read.attributes <= {"style", "class"}


def test_a_page_needs_no_style_sheet_script_or_colour_of_the_ground() -> None:
    for page in shown("taxifare"):
        assert "<style" not in page
        assert "background" not in page
        assert "#fff" not in page


def test_a_run_shows_what_it_is_and_what_it_measured(home: Path) -> None:
    assert home.is_dir()
    with loopline.start_run(run_name="first", description="the *first* try") as run:
        loopline.log_params({"model": "gbm"})
        loopline.log_metrics({"loss": [1.0, 0.5, 0.25]})
        active = "".join(Reader(run._repr_html_()).text)
    assert "first" in active
    assert "RUNNING" in active
    text = "".join(Reader(run.fetch()._repr_html_() or "").text)
    for part in (
        "first",
        "FINISHED",
        "wagoncab taxifare",
        "gbm",
        "0.25",
        "3 points",
        "the *first*",
    ):
        assert part in text


def test_a_search_shows_a_row_a_run_and_says_how_many_more_there_are() -> None:
    runs = Runs(run_of(f"run {number}") for number in range(120))
    read = Reader(runs._repr_html_())
    text = "".join(read.text)
    assert "120 runs" in text
    assert "run 49" in text
    assert "run 50" not in text
    assert "and 70 more" in text
    assert "0 runs" in Runs()._repr_html_()


def test_what_a_call_answers_is_what_a_notebook_shows(home: Path) -> None:
    assert home.is_dir()
    with loopline.start_run(run_name="first") as run:
        loopline.log_metric("rmse", 3.9)
    for thing in (
        loopline.get_run(run.run_id),
        loopline.search_runs(output_format="list"),
        loopline.find_runs(),
        loopline.set_experiment("wagoncab taxifare"),
        loopline.get_experiment_by_name("wagoncab taxifare"),
        loopline.search_experiments(),
        loopline.registry.list_models(),
    ):
        page = thing._repr_html_()  # type: ignore[union-attr]
        assert page is not None
        assert Reader(page).elements
