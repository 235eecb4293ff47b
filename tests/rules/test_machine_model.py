"""The flow machine against a naive model: any graph, any outcomes, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.records.flows import FlowGraph, GraphEdge, GraphTask, StateKind, TaskRun
from loopline.rules.machine import (
    AskHandlers,
    AskTrigger,
    AwaitResume,
    CancelRun,
    EnterState,
    Expanded,
    ExpandTask,
    FinishRun,
    Machine,
    ResumeTask,
    StartTask,
    TaskEnded,
    TriggerAnswered,
)
from loopline.rules.triggers import MANUAL, TRIGGERS, is_hopeless

if TYPE_CHECKING:
    from loopline.rules.machine import Command, Event

#: How an attempt of a task can end, and how wide a list it can return.
ENDS = [StateKind.SUCCESS] * 3 + [
    StateKind.FAILED, StateKind.TIMED_OUT, StateKind.SKIPPED, StateKind.VALIDATION_FAILED
]  # fmt: skip
MOST_CHILDREN = 3
#: How a task's first attempts can end, before one ends it: whether after a time, or by somebody.
DETOURS = [
    (StateKind.LOOPED, None), (StateKind.LOOPED, 1.0), (StateKind.RETRYING, None),
    (StateKind.PAUSED, 1.0), (StateKind.PAUSED, None),
]  # fmt: skip
#: A user's own trigger: it never lets its task run, or does, perhaps only when resumed.
OWN = ["own yes", "own no", "own pause"]

Where = tuple[str, int]


class Story(NamedTuple):
    """A flow and what its tasks will do.

    Attributes:
        detours: What the first attempts of a task, or of each of its children, come to.
        handled: State that a task's handlers put in the place of one it did not run for.
        is_resumed: Whether somebody resumes the task when it is paused.
    """

    graph: FlowGraph
    ends: dict[str, list[StateKind]]
    widths: dict[str, int]
    detours: dict[str, list[tuple[StateKind, float | None]]]
    handled: dict[str, StateKind]
    is_resumed: dict[str, bool]

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
                trigger=draw(st.sampled_from([*sorted(TRIGGERS), MANUAL, *OWN])),
                retry_delays_s=[0.0] * draw(st.integers(0, 2)),
                skip_on_upstream_skip=draw(st.booleans()),
                has_handlers=draw(st.booleans()),
            )
        )
    ends = {
        slug: draw(
            st.lists(st.sampled_from(ENDS), min_size=MOST_CHILDREN + 1, max_size=MOST_CHILDREN + 1)
        )
        for slug in slugs
    }
    widths = {slug: draw(st.integers(0, MOST_CHILDREN)) for slug in slugs}
    few = st.lists(st.sampled_from(DETOURS), max_size=3) if draw(st.booleans()) else st.just([])
    handled = st.sampled_from([StateKind.SKIPPED, StateKind.TRIGGER_FAILED, StateKind.SUCCESS])
    return Story(
        FlowGraph(tasks=tasks, edges=edges),
        ends,
        widths,
        {slug: draw(few) for slug in slugs},
        {task.slug: draw(handled) for task in tasks if task.has_handlers},
        {slug: draw(st.sampled_from([True, True, True, False])) for slug in slugs},
    )


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
        if not all(state.is_finished for state in shared):
            found[task.slug, -1] = StateKind.PENDING
        elif not task.is_mapped:
            found[task.slug, -1] = model_task(story, task, -1, shared)
        elif (StateKind.SKIPPED in shared and task.skip_on_upstream_skip) or (
            any(found[up, -1] is not StateKind.SUCCESS for up in lists)
            and not model_count(shared)[1]
        ):
            found[task.slug, -1] = story.handled.get(task.slug, StateKind.SKIPPED)
        elif any(found[up, -1] is not StateKind.SUCCESS for up in lists) or is_hopeless(
            task.trigger, *model_count(shared)
        ):
            found[task.slug, -1] = story.handled.get(task.slug, StateKind.TRIGGER_FAILED)
        else:
            found[task.slug, -1] = StateKind.MAPPED
            widths = [children[up] for up in rows] + [story.widths[up] for up in lists]
            children[task.slug] = min(widths)
            for index in range(min(widths)):
                own = [found[up, index] for up in rows]
                found[task.slug, index] = model_task(story, task, index, shared + own)
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


def model_task(story: Story, task: GraphTask, index: int, states: list[StateKind]) -> StateKind:
    if not all(state.is_finished for state in states):
        return StateKind.PENDING
    if StateKind.SKIPPED in states and task.skip_on_upstream_skip:
        return story.handled.get(task.slug, StateKind.SKIPPED)
    if task.trigger in {MANUAL, "own pause"} and not story.is_resumed[task.slug]:
        return StateKind.PAUSED
    if task.trigger == "own no" or (
        task.trigger in TRIGGERS and states and not TRIGGERS[task.trigger](*model_count(states))
    ):
        return story.handled.get(task.slug, StateKind.TRIGGER_FAILED)
    if (StateKind.PAUSED, None) in story.detours[task.slug] and not story.is_resumed[task.slug]:
        return StateKind.PAUSED
    return story.end(task.slug, index)


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
        self.stuck: list[Where] = []
        self.detours: dict[Where, list[tuple[StateKind, float | None]]] = {}

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case EnterState(slug=slug, map_index=index, state=state):
                    if state.is_finished:
                        self.entered.append((slug, index))
                    if state is StateKind.PAUSED and self.story.is_resumed[slug]:
                        self.open.append(command)
                case AwaitResume(paused=paused):
                    assert not any(type(each) is not EnterState for each in self.open)
                    self.stuck = paused
                    self.open += [  # An earlier holder recorded these.
                        EnterState(*where, StateKind.PAUSED)
                        for where in paused
                        if self.story.is_resumed[where[0]] and where not in self.pausing()
                    ]
                case StartTask(slug=slug, map_index=index, attempt=attempt):
                    self.check_start((slug, index))
                    before = self.attempts.get((slug, index), 0)
                    assert attempt in {1, before + 1} or before == 0
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
        event: Event
        match command:
            case StartTask(slug=slug, map_index=index):
                event = TaskEnded(slug, index, *self.outcome((slug, index)))
            case ExpandTask(slug=slug):
                event = Expanded(slug, width=self.width(slug))
            case AskTrigger(slug=slug, map_index=index, is_resumed=is_resumed):
                event = self.answer(slug, index, is_resumed=is_resumed)
            case AskHandlers(slug=slug, map_index=index):
                assert command.state in {StateKind.SKIPPED, StateKind.TRIGGER_FAILED}
                event = TaskEnded(slug, index, self.story.handled[slug], final=True)
            case EnterState(slug=slug, map_index=index):
                event = ResumeTask(slug, index)
            case _:
                raise AssertionError(command)
        self.take(self.machine.advance(event))

    def pausing(self) -> set[Where]:
        """Tell which pauses somebody is about to end."""
        return {(each.slug, each.map_index) for each in self.open if isinstance(each, EnterState)}

    def outcome(self, where: Where) -> tuple[StateKind, str, float | None]:
        """Take the next of a task's detours, or its end."""
        left = self.detours.setdefault(where, list(self.story.detours[where[0]]))
        if left:
            state, after_s = left.pop(0)
            return state, "", after_s
        return self.story.end(*where), "", None

    def answer(self, slug: str, index: int, *, is_resumed: bool) -> TriggerAnswered:
        trigger = next(task.trigger for task in self.story.graph.tasks if task.slug == slug)
        if trigger == "own no":
            return TriggerAnswered(slug, index, StateKind.TRIGGER_FAILED)
        if trigger == "own pause" and not is_resumed:
            return TriggerAnswered(slug, index, StateKind.PAUSED)
        return TriggerAnswered(slug, index)

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


@settings(max_examples=300)
@given(story=stories(), choices=ORDERS)
def test_whatever_the_order_tasks_end_as_the_model_says(story: Story, choices: list[int]) -> None:
    driver = Driver(story, [])
    driver.run(choices)
    expected = model(story)
    assert driver.states() == expected
    assert len(driver.entered) == len(set(driver.entered))
    assert set(driver.entered) == {where for where, state in expected.items() if state.is_finished}
    paused = [where for where, state in expected.items() if state is StateKind.PAUSED]
    assert (driver.verdict is None) is bool(paused)
    if paused:
        assert sorted(driver.stuck) == sorted(paused)


@settings(max_examples=50)
@given(story=stories(), choices=ORDERS)
def test_a_run_fails_when_a_task_that_nothing_follows_failed(
    story: Story, choices: list[int]
) -> None:
    driver = Driver(story._replace(is_resumed=dict.fromkeys(story.is_resumed, True)), [])
    driver.run(choices)
    followed = {edge.upstream for edge in story.graph.edges}
    last = [state for (slug, _), state in driver.states().items() if slug not in followed]
    assert driver.verdict is not None
    assert driver.verdict.state is (
        StateKind.FAILED if any(state.is_failed for state in last) else StateKind.SUCCESS
    )


def _as_recorded(state: StateKind) -> StateKind:
    return StateKind.RUNNING if state is StateKind.SUBMITTED else state


@settings(max_examples=200)
@given(story=stories(), choices=ORDERS)
def test_a_run_that_another_worker_takes_over_ends_the_same(
    story: Story, choices: list[int]
) -> None:
    # That a pause ends by itself is not recorded: the next holder waits for somebody.
    story = story._replace(is_resumed=dict.fromkeys(story.is_resumed, True))
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
            state=_as_recorded(state),
            # More, and a task that was running would be given up as one that kills its workers.
            attempt=min(first.machine.attempt(slug, index), 2),
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
