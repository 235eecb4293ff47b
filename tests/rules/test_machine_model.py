"""The flow machine against a naive model: any graph, any outcomes, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.records.flows import FlowGraph, GraphEdge, GraphTask, StateKind, TaskRun
from loopline.rules.machine import (
    CancelRun,
    EnterState,
    Expanded,
    ExpandTask,
    FinishRun,
    Machine,
    StartTask,
    TaskEnded,
)
from loopline.rules.triggers import TRIGGERS, is_hopeless

if TYPE_CHECKING:
    from loopline.rules.machine import Command

#: How an attempt of a task can end, and how wide a list it can return.
ENDS = [StateKind.SUCCESS] * 3 + [StateKind.FAILED, StateKind.TIMED_OUT, StateKind.SKIPPED]
MOST_CHILDREN = 3

Where = tuple[str, int]


class Story(NamedTuple):
    """A flow and what its tasks will do."""

    graph: FlowGraph
    ends: dict[str, list[StateKind]]
    widths: dict[str, int]

    def end(self, slug: str, map_index: int) -> StateKind:
        """Tell how every attempt of a task ends."""
        return self.ends[slug][map_index + 1]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    slugs = [f"t{number}" for number in range(draw(st.integers(1, 7)))]
    tasks, edges = [], []
    for number, slug in enumerate(slugs):
        above = draw(st.lists(st.sampled_from(slugs[:number]), unique=True)) if number else []
        mapped = draw(st.lists(st.sampled_from(above), unique=True)) if above else []
        edges += [GraphEdge(upstream=up, downstream=slug, is_mapped=up in mapped) for up in above]
        tasks.append(
            GraphTask(
                slug=slug,
                name=slug,
                is_mapped=bool(mapped),
                trigger=draw(st.sampled_from(sorted(TRIGGERS))),
                retry_delays_s=[0.0] * draw(st.integers(0, 2)),
                skip_on_upstream_skip=draw(st.booleans()),
            )
        )
    ends = {
        slug: draw(
            st.lists(st.sampled_from(ENDS), min_size=MOST_CHILDREN + 1, max_size=MOST_CHILDREN + 1)
        )
        for slug in slugs
    }
    widths = {slug: draw(st.integers(0, MOST_CHILDREN)) for slug in slugs}
    return Story(FlowGraph(tasks=tasks, edges=edges), ends, widths)


# --- the model: task by task, in an order in which they can run ----------------------------------


def model(story: Story) -> dict[Where, StateKind]:
    found: dict[Where, StateKind] = {}
    children: dict[str, int] = {}
    for task in story.graph.tasks:
        above = [edge for edge in story.graph.edges if edge.downstream == task.slug]
        rows = [edge.upstream for edge in above if edge.is_mapped and edge.upstream in children]
        shared = [
            state
            for edge in above
            if edge.upstream not in rows
            for state in model_states(found, children, edge.upstream)
        ]
        lists = [edge.upstream for edge in above if edge.is_mapped and edge.upstream not in rows]
        if not task.is_mapped:
            found[task.slug, -1] = model_task(story, task, -1, shared, is_root=not above)
        elif (StateKind.SKIPPED in shared and task.skip_on_upstream_skip) or (
            any(found[up, -1] is StateKind.SKIPPED for up in lists) and not model_count(shared)[1]
        ):
            found[task.slug, -1] = StateKind.SKIPPED
        elif any(found[up, -1] is not StateKind.SUCCESS for up in lists) or is_hopeless(
            task.trigger, *model_count(shared)
        ):
            found[task.slug, -1] = StateKind.TRIGGER_FAILED
        else:
            found[task.slug, -1] = StateKind.MAPPED
            widths = [children[up] for up in rows] + [story.widths[up] for up in lists]
            children[task.slug] = min(widths)
            for index in range(min(widths)):
                own = [found[up, index] for up in rows]
                found[task.slug, index] = model_task(
                    story, task, index, shared + own, is_root=False
                )
    return found


def model_states(
    found: dict[Where, StateKind], children: dict[str, int], slug: str
) -> list[StateKind]:
    if slug in children:
        return [found[slug, index] for index in range(children[slug])]
    return [found[slug, -1]]


def model_count(states: list[StateKind]) -> tuple[int, int]:
    good = sum(state.is_successful for state in states)
    return good, len(states) - good


def model_task(
    story: Story, task: GraphTask, index: int, states: list[StateKind], *, is_root: bool
) -> StateKind:
    if StateKind.SKIPPED in states and task.skip_on_upstream_skip:
        return StateKind.SKIPPED
    if is_root or TRIGGERS[task.trigger](*model_count(states)):
        return story.end(task.slug, index)
    return StateKind.TRIGGER_FAILED


# --- the machine, driven in any order ------------------------------------------------------------


class Driver:
    """Carries out commands in an order drawn by chance, and checks what must always hold."""

    def __init__(self, story: Story, initial: list[TaskRun]) -> None:
        self.story = story
        self.machine = Machine(story.graph, initial)
        self.finished = {(run.task_slug, run.map_index) for run in initial}
        self.entered: list[Where] = []
        self.attempts: dict[Where, int] = {}
        self.open: list[Command] = []
        self.verdict: FinishRun | None = None

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case EnterState(slug=slug, map_index=index, state=state):
                    if state.is_finished:
                        self.entered.append((slug, index))
                case StartTask(slug=slug, map_index=index, attempt=attempt):
                    self.check_start((slug, index))
                    self.attempts[slug, index] = attempt
                    self.open.append(command)
                case FinishRun():
                    assert self.verdict is None
                    self.verdict = command
                case _:
                    self.open.append(command)

    def check_start(self, where: Where) -> None:
        slug, index = where
        assert where not in self.finished
        for upstream, is_mapped in self.machine.upstreams(slug):
            width = self.machine.width(upstream)
            if width is None:
                assert self.machine.state(upstream).is_finished
            elif is_mapped and index >= 0:
                assert self.machine.state(upstream, index).is_finished
            else:
                assert all(self.machine.state(upstream, i).is_finished for i in range(width))

    def step(self, chosen: int) -> None:
        command = self.open.pop(chosen % len(self.open))
        if isinstance(command, StartTask):
            end = self.story.end(command.slug, command.map_index)
            self.take(self.machine.advance(TaskEnded(command.slug, command.map_index, end)))
        elif isinstance(command, ExpandTask):
            self.take(self.machine.advance(Expanded(command.slug, width=self.width(command.slug))))

    def width(self, slug: str) -> int:
        widths = []
        for upstream, is_mapped in self.machine.upstreams(slug):
            if is_mapped:
                width = self.machine.width(upstream)
                widths.append(self.story.widths[upstream] if width is None else width)
        return min(widths)

    def run(self, choices: list[int]) -> None:
        self.take(self.machine.begin())
        for chosen in choices:
            if self.open:
                self.step(chosen)
        while self.open:
            self.step(0)

    def states(self) -> dict[Where, StateKind]:
        return {(slug, index): state for slug, index, state in self.machine.states()}


ORDERS = st.lists(st.integers(0, 50), max_size=60)


@settings(max_examples=150)
@given(story=stories(), choices=ORDERS)
def test_whatever_the_order_tasks_end_as_the_model_says(story: Story, choices: list[int]) -> None:
    driver = Driver(story, [])
    driver.run(choices)
    assert driver.states() == model(story)
    assert len(driver.entered) == len(set(driver.entered))
    assert set(driver.entered) == set(driver.states())


@settings(max_examples=50)
@given(story=stories(), choices=ORDERS)
def test_a_run_fails_when_a_task_that_nothing_follows_failed(
    story: Story, choices: list[int]
) -> None:
    driver = Driver(story, [])
    driver.run(choices)
    followed = {edge.upstream for edge in story.graph.edges}
    last = [state for (slug, _), state in driver.states().items() if slug not in followed]
    assert driver.verdict is not None
    assert driver.verdict.state is (
        StateKind.FAILED if any(state.is_failed for state in last) else StateKind.SUCCESS
    )


@settings(max_examples=100)
@given(story=stories(), choices=ORDERS)
def test_a_run_that_another_worker_takes_over_ends_the_same(
    story: Story, choices: list[int]
) -> None:
    first = Driver(story, [])
    first.take(first.machine.begin())
    for chosen in choices[:8]:
        if first.open:
            first.step(chosen)
    known = [
        TaskRun(
            flow_run_id="f",
            task_slug=slug,
            map_index=index,
            state=StateKind.RUNNING if state is StateKind.SUBMITTED else state,
            attempt=first.machine.attempt(slug, index),
        )
        for slug, index, state in first.machine.states()
        if state is not StateKind.PENDING
    ]
    second = Driver(story, known)
    second.finished = {(run.task_slug, run.map_index) for run in known if run.state.is_finished}
    second.run(choices)
    assert second.states() == model(story)


@settings(max_examples=100)
@given(story=stories(), choices=ORDERS)
def test_a_cancelled_run_leaves_nothing_unfinished(story: Story, choices: list[int]) -> None:
    driver = Driver(story, [])
    driver.take(driver.machine.begin())
    for chosen in choices[:6]:
        if driver.open:
            driver.step(chosen)
    was_over = driver.verdict is not None
    driver.take(driver.machine.advance(CancelRun("stop")))
    assert all(state.is_finished for state in driver.states().values())
    assert driver.verdict is not None
    assert was_over or driver.verdict.state is StateKind.CANCELLED
