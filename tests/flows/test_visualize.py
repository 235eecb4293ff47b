"""``flow.visualize()``: files, formats, states, and silence where nothing can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import FlowBuildError, InvalidInputError
from loopline.flows import Flow, task
from loopline.flows.running.engine import run_flow

if TYPE_CHECKING:
    from pathlib import Path


@task
def train(month: int) -> int:
    return 1 // month


@pytest.fixture
def flow() -> Flow:
    with Flow("wagonwab taxifare workflow") as flow:
        train.map([0, 1], upstream_tasks=[train(1)])
    return flow


def test_without_a_name_it_goes_to_the_home_and_says_where(
    flow: Flow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    picture = flow.visualize()
    assert picture.path == tmp_path / "pictures" / "wagonwab-taxifare-workflow.svg"
    assert picture.path.read_text() == picture.text
    assert str(picture.path) in capsys.readouterr().out


def test_a_home_that_cannot_be_written_is_no_obstacle(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "file"))
    assert flow.visualize().path.exists()


@pytest.mark.parametrize(
    ("name", "format_", "written", "begins"),
    [
        ("picture", None, "picture.svg", "<svg"),
        ("picture.svg", None, "picture.svg", "<svg"),
        ("picture.dot", None, "picture.dot", "digraph"),
        ("picture.mmd", None, "picture.mmd", "---"),
        ("picture", "mermaid", "picture.mmd", "---"),
        ("v1.2", "dot", "v1.2.dot", "digraph"),
    ],
)
def test_the_ending_and_the_format_agree(
    flow: Flow, tmp_path: Path, name: str, format_: str | None, written: str, begins: str
) -> None:
    picture = flow.visualize(filename=tmp_path / "deep" / name, format=format_)
    assert picture.path == tmp_path / "deep" / written
    assert picture.path.read_text().startswith(begins)


def test_a_format_that_does_not_exist_is_refused(flow: Flow, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'pdf'"):
        flow.visualize(filename=tmp_path / "picture", format="pdf")


def test_the_states_of_a_run_colour_it(flow: Flow, tmp_path: Path) -> None:
    state = run_flow(flow, recorder=ListRecorder())
    text = flow.visualize(state, tmp_path / "picture").text
    assert "1 of 2 done, 1 failed" in text
    assert 'class="task Success task"' in text


def test_a_notebook_shows_the_svg(flow: Flow, tmp_path: Path) -> None:
    assert (flow.visualize(filename=tmp_path / "a")._repr_svg_() or "").startswith("<svg")
    assert flow.visualize(filename=tmp_path / "a.dot")._repr_svg_() is None


def test_a_circle_cannot_be_drawn_and_is_named(tmp_path: Path) -> None:
    circle = Flow("circle")
    one, other = train.copy(), train.copy()
    circle.chain(one, other, one)
    with pytest.raises(FlowBuildError, match="train-1 → train-2 → train-1"):
        circle.visualize(filename=tmp_path / "circle")
