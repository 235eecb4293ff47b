"""Pictures of flows as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.records.flows import FlowGraph, GraphEdge, GraphTask, StateKind, TaskRun
from loopline.rules.picture import draw_dot, draw_mermaid, draw_svg, mark_tasks
from loopline.rules.picture_style import wrap

TAXIFARE = FlowGraph(
    tasks=[
        GraphTask(slug="next_row", name="next_row", kind="parameter"),
        GraphTask(slug="eval_perf-1", name="eval_perf"),
        GraphTask(slug="train_model-1", name="train_model", retry_delays_s=[60.0]),
        GraphTask(slug="notify-1", name="notify", trigger="all_finished"),
    ],
    edges=[
        GraphEdge(upstream="next_row", downstream="eval_perf-1", key="next_row"),
        GraphEdge(upstream="next_row", downstream="train_model-1", key="next_row"),
        GraphEdge(upstream="eval_perf-1", downstream="notify-1", key="past_perf"),
        GraphEdge(upstream="train_model-1", downstream="notify-1", key="new_perf"),
    ],
)
SVG = "{http://www.w3.org/2000/svg}"


def task_run(slug: str, state: StateKind, map_index: int = -1) -> TaskRun:
    return TaskRun(flow_run_id="f", task_slug=slug, state=state, map_index=map_index)


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314


def test_every_task_and_input_is_named() -> None:
    found = texts(draw_svg(TAXIFARE, title="wagonwab taxifare workflow"))
    for name in ("wagonwab taxifare workflow", "eval_perf", "train_model", "notify"):
        assert name in found
    assert {"past_perf", "new_perf"} <= set(found)


def test_a_state_is_told_in_words_as_well_as_in_colour() -> None:
    svg = draw_svg(TAXIFARE, [task_run("train_model-1", StateKind.TIMED_OUT)])
    assert 'class="task TimedOut task"' in svg
    assert "Timed out" in texts(svg)
    assert texts(svg).count("Pending") == 3


def test_a_mapped_task_shows_its_worst_child_and_how_many_are_done() -> None:
    graph = FlowGraph(tasks=[GraphTask(slug="train-1", name="train", is_mapped=True)])
    runs = [
        task_run("train-1", StateKind.MAPPED),
        task_run("train-1", StateKind.SUCCESS, 0),
        task_run("train-1", StateKind.FAILED, 1),
        task_run("train-1", StateKind.RUNNING, 2),
    ]
    mark = mark_tasks(graph, runs)["train-1"]
    assert (mark.state, mark.note) == (StateKind.FAILED, "1 of 3 done, 1 failed")


def test_a_box_can_lead_somewhere() -> None:
    svg = draw_svg(TAXIFARE, link=lambda slug: f"/tasks?a=1&slug={slug}")
    assert '<a href="/tasks?a=1&amp;slug=notify-1">' in svg


def test_it_follows_the_readers_dark_mode() -> None:
    assert "@media(prefers-color-scheme:dark)" in draw_svg(TAXIFARE)


@settings(max_examples=50)
@given(name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80))
def test_any_name_makes_a_well_formed_picture(name: str) -> None:
    graph = FlowGraph(
        tasks=[GraphTask(slug=name, name=name), GraphTask(slug="after", name="after" + name)],
        edges=[GraphEdge(upstream=name, downstream="after", key=name)],
    )
    if name != "after":
        ElementTree.fromstring(draw_svg(graph, title=name))  # noqa: S314 - our own


def test_two_hundred_tasks_are_no_trouble() -> None:
    tasks = [GraphTask(slug=f"step-{number}", name=f"step_{number}") for number in range(200)]
    edges = [
        GraphEdge(upstream=f"step-{number // 2}", downstream=f"step-{number}")
        for number in range(1, 200)
    ]
    svg = draw_svg(FlowGraph(tasks=tasks, edges=edges))
    assert svg.count('class="box"') == 200


def test_long_names_break_between_words() -> None:
    assert wrap("evaluate_challenger_on_all_new_rows") == [
        "evaluate_challenger_",
        "on_all_new_rows",
    ]
    assert wrap("TrainTheModelOnEveryMonthSince2009") == ["TrainTheModelOnEvery", "MonthSince2009"]
    assert wrap("train") == ["train"]


def test_endless_names_are_cut() -> None:
    lines = wrap("x" * 500)
    assert len(lines) == 3
    assert lines[-1].endswith("…")


def test_dot_names_tasks_edges_and_colours() -> None:
    dot = draw_dot(TAXIFARE, [task_run("eval_perf-1", StateKind.SUCCESS)], title='a "flow"')
    assert dot.startswith('digraph "a \\"flow\\"" {')
    assert '"eval_perf-1" -> "notify-1" [label="past_perf"];' in dot
    assert re.search(r'"eval_perf-1" \[label="eval_perf\\nSuccess", color="#\w+"\];', dot)


def test_mermaid_text_escapes_what_mermaid_would_read() -> None:
    graph = FlowGraph(tasks=[GraphTask(slug="a", name='end["x"]')])
    assert 't0["end#91;#34;x#34;#93;"]' in draw_mermaid(graph)
