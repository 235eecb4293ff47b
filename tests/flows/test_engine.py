"""The engine: what happens, what is recorded, what comes back."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.backend.context import TaskContext, current_task
from loopline.executors import Executor, LocalDaskExecutor, LocalExecutor
from loopline.flows import (
    Flow,
    Parameter,
    context,
    get_run_logger,
    signals,
    task,
    triggers,
    unmapped,
)
from loopline.flows.running.engine import run_flow
from loopline.records.facts import LogsWritten
from loopline.records.flows import StateKind

EXECUTORS = [LocalExecutor(), LocalDaskExecutor(num_workers=2)]
WITH_EXECUTORS = pytest.mark.parametrize("executor", EXECUTORS, ids=["local", "threads"])


@task
def add(one: int, other: int = 1) -> int:
    return one + other


@task
def fail(reason: str = "no trips in 2022-03") -> None:
    raise ValueError(reason)


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@WITH_EXECUTORS
def test_results_flow_from_task_to_task(recorder: ListRecorder, executor: Executor) -> None:
    with Flow("sum") as flow:
        first = add(Parameter("start"), 2)
        second = add(first, add(first, 10))
        parts = add([first], [second])
    state = run_flow(flow, parameters={"start": 1}, executor=executor, recorder=recorder)
    assert state.is_successful()
    assert state.result[second].result == 16
    assert state.result[parts].result == [3, 16]


def test_what_happens_is_recorded_in_order(recorder: ListRecorder) -> None:
    with Flow("sum") as flow:
        add(1)
    run_flow(flow, recorder=recorder)
    kinds = [(type(fact).__name__, getattr(fact, "state", "")) for fact in recorder.facts]
    assert kinds == [
        ("FlowRunState", "Running"),
        ("TaskRunState", "Running"),
        ("TaskRunState", "Success"),
        ("FlowRunState", "Success"),
    ]
    begun, *_, ended = recorder.flow_facts()
    assert begun.graph == flow.graph()
    assert begun.flow_name == "sum"
    assert ended.flow_run_id == begun.flow_run_id


def test_a_registered_run_records_under_its_id_and_token(recorder: ListRecorder) -> None:
    with Flow("sum") as flow:
        add(1)
    run_flow(flow, recorder=recorder, flow_run_id="ab" * 16, token=7)
    assert {fact.flow_run_id for fact in recorder.flow_facts()} == {"ab" * 16}
    assert {fact.token for fact in recorder.task_facts("add-1")} == {7}
    assert recorder.flow_facts()[0].graph is None


@WITH_EXECUTORS
def test_an_exception_fails_the_task_and_stops_what_needs_it(
    recorder: ListRecorder, executor: Executor
) -> None:
    with Flow("sum") as flow:
        failed = fail()
        after = add(failed)
        apart = add(1)
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.is_failed()
    assert state.message == "1 task failed: fail-1."
    assert state.result[failed].message == "ValueError: no trips in 2022-03"
    assert isinstance(state.result[failed].result, ValueError)
    assert state.result[after].kind is StateKind.TRIGGER_FAILED
    assert state.result[apart].result == 2


def test_the_traceback_begins_at_the_users_first_line(recorder: ListRecorder) -> None:
    with Flow("sum") as flow:
        fail()
    run_flow(flow, recorder=recorder)
    ((slug, level, text),) = recorder.lines()
    assert (slug, level) == ("fail-1", logging.ERROR)
    assert "raise ValueError(reason)" in text
    assert "attempt.py" not in text


def test_a_failing_task_is_tried_again_until_it_succeeds(recorder: ListRecorder) -> None:
    attempts = []

    @task(max_retries=3, retry_delay=timedelta(milliseconds=1))
    def shaky() -> int:
        attempts.append(context.task_run_count)
        if len(attempts) < 3:
            raise OSError("connection reset")
        return 42

    with Flow("shaky") as flow:
        result = shaky()
    state = run_flow(flow, recorder=recorder)
    assert state.result[result].result == 42
    assert attempts == [1, 2, 3]
    assert [(fact.state, fact.attempt) for fact in recorder.task_facts("shaky-1")] == [
        (StateKind.RUNNING, 1),
        (StateKind.RETRYING, 1),
        (StateKind.RUNNING, 2),
        (StateKind.RETRYING, 2),
        (StateKind.RUNNING, 3),
        (StateKind.SUCCESS, 3),
    ]


def test_other_tasks_go_on_while_one_waits_to_be_tried_again(recorder: ListRecorder) -> None:
    order: list[str] = []

    @task(max_retries=1, retry_delay=0.05)
    def shaky() -> None:
        order.append("shaky")
        if len(order) == 1:
            raise OSError

    @task
    def steady() -> None:
        order.append("steady")

    with Flow("shaky") as flow:
        shaky()
        steady()
    assert run_flow(flow, recorder=recorder).is_successful()
    assert order == ["shaky", "steady", "shaky"]


def test_only_errors_worth_it_are_tried_again(recorder: ListRecorder) -> None:
    @task(max_retries=5, retry_on=OSError)
    def picky() -> None:
        raise ValueError("wrong for good")

    with Flow("picky") as flow:
        picky()
    run_flow(flow, recorder=recorder)
    assert recorder.states("picky-1") == [StateKind.RUNNING, StateKind.FAILED]


@WITH_EXECUTORS
def test_a_task_that_is_late_is_given_up_and_told_to_stop(
    recorder: ListRecorder, executor: Executor
) -> None:
    stopped = threading.Event()

    @task(timeout=0.05)
    def endless() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            stopped.set()

    with Flow("late") as flow:
        late = endless()
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[late].kind is StateKind.TIMED_OUT
    assert isinstance(state.result[late].result, TimeoutError)
    assert stopped.wait(10)


def test_a_task_in_time_keeps_its_context_and_result(recorder: ListRecorder) -> None:
    @task(timeout=60)
    def quick() -> str:
        return str(context.task_slug)

    with Flow("quick") as flow:
        result = quick()
    assert run_flow(flow, recorder=recorder).result[result].result == "quick-1"


@pytest.mark.parametrize(
    ("signal", "kind"),
    [
        (signals.SKIP("no new rows"), StateKind.SKIPPED),
        (signals.FAIL("no new rows"), StateKind.FAILED),
        (signals.SUCCESS("no new rows", result=1), StateKind.SUCCESS),
    ],
)
def test_a_signal_ends_the_task_in_its_state(
    recorder: ListRecorder, signal: signals.Signal, kind: StateKind
) -> None:
    @task
    def decide() -> None:
        try:
            raise signal  # noqa: TRY301 - what users do
        except Exception:  # noqa: BLE001, S110 - a signal passes this
            pass

    with Flow("signals") as flow:
        decided = decide()
    state = run_flow(flow, recorder=recorder)
    assert state.result[decided].kind is kind
    assert state.result[decided].message == "no new rows"


def test_retry_asks_for_another_attempt(recorder: ListRecorder) -> None:
    @task
    def patient() -> int:
        if context.task_run_count < 3:
            raise signals.RETRY("the month has not been published", after=timedelta(0))
        return int(context.task_run_count)

    with Flow("patient") as flow:
        result = patient()
    assert run_flow(flow, recorder=recorder).result[result].result == 3


def test_a_task_that_exits_fails_alone(recorder: ListRecorder) -> None:
    @task
    def leave() -> None:
        raise SystemExit(2)

    with Flow("leave") as flow:
        left = leave()
        stayed = add(1)
    state = run_flow(flow, recorder=recorder)
    assert state.result[left].message == "SystemExit: 2"
    assert state.result[stayed].is_successful()


def test_an_own_trigger_sees_the_states_before_it(recorder: ListRecorder) -> None:
    seen = {}

    def most_succeeded(upstream_states: dict[Any, Any]) -> bool:
        for edge, state in upstream_states.items():
            seen[edge.upstream_task.name] = state.is_successful()
        return bool(sum(seen.values()) > len(seen) / 2)

    @task(trigger=most_succeeded)
    def publish() -> str:
        return "published"

    with Flow("own trigger") as flow:
        published = publish(upstream_tasks=[add(1), fail(), add(2, task_args={"name": "add 2"})])
    state = run_flow(flow, recorder=recorder)
    assert state.result[published].result == "published"
    assert seen == {"add": True, "fail": False, "add 2": True}


def test_an_own_trigger_that_breaks_fails_its_task_with_the_reason(
    recorder: ListRecorder,
) -> None:
    def broken(_: object) -> bool:
        raise KeyError("month")

    @task(trigger=broken)
    def publish() -> None: ...

    with Flow("own trigger") as flow:
        published = publish(upstream_tasks=[add(1)])
    state = run_flow(flow, recorder=recorder).result[published]
    assert state.kind is StateKind.TRIGGER_FAILED
    assert "KeyError('month')" in state.message


def test_a_task_that_always_runs_gets_the_exception_of_a_failed_one(
    recorder: ListRecorder,
) -> None:
    @task(trigger=triggers.always_run)
    def report(outcome: object) -> str:
        return f"{outcome!r}"

    with Flow("report") as flow:
        reported = report(fail())
    state = run_flow(flow, recorder=recorder)
    assert state.result[reported].result == "ValueError('no trips in 2022-03')"
    assert state.is_successful()


@WITH_EXECUTORS
def test_a_mapped_task_runs_once_for_each_element(
    recorder: ListRecorder, executor: Executor
) -> None:
    @task
    def months() -> list[int]:
        return [1, 2, 3]

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with Flow("mapped") as flow:
        first = add.map(months(), other=unmapped(10))
        second = add.map(first, [100, 200, 300, 400])
        summed = total(second)
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[first].result == [11, 12, 13]
    assert [child.result for child in state.result[second].map_states] == [111, 212, 313]
    assert state.result[summed].result == 636
    assert recorder.states("add-1") == [StateKind.MAPPED]
    assert recorder.states("add-1", 2) == [StateKind.RUNNING, StateKind.SUCCESS]


def test_mapping_over_a_number_fails_with_the_reason(recorder: ListRecorder) -> None:
    with Flow("mapped") as flow:
        mapped = add.map(add(1))
    state = run_flow(flow, recorder=recorder).result[mapped]
    assert state.is_failed()
    assert "'one' is of type int" in state.message


def test_a_task_knows_where_it_runs(recorder: ListRecorder) -> None:
    @task
    def where() -> tuple[TaskContext | None, str, dict[str, Any]]:
        return current_task.get(), context.flow_name, context["parameters"]

    with Flow("context") as flow:
        found = where()
        Parameter("month", default="2022-03")()
    state = run_flow(
        flow, recorder=recorder, flow_run_id="cd" * 16, token=3, parameters={"month": "2022-04"}
    )
    assert state.result[found].result == (
        TaskContext("cd" * 16, "where-1", -1, 3),
        "context",
        {"month": "2022-04"},
    )
    assert current_task.get() is None
    with pytest.raises(AttributeError, match="no task is running here"):
        _ = context.flow_name


@WITH_EXECUTORS
def test_log_lines_and_prints_go_to_the_run_that_wrote_them(
    recorder: ListRecorder, executor: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    @task(log_stdout=True)
    def talk(month: str) -> None:
        print("training on", month)
        get_run_logger().warning("few trips in %s", month)

    @task
    def mumble() -> None:
        print("not kept")

    with Flow("talk") as flow:
        talk("2022-03")
        talk("2022-04")
        mumble()
    run_flow(flow, recorder=recorder, executor=executor)
    assert sorted(recorder.lines()) == [
        ("talk-1", logging.INFO, "training on 2022-03"),
        ("talk-1", logging.WARNING, "few trips in 2022-03"),
        ("talk-2", logging.INFO, "training on 2022-04"),
        ("talk-2", logging.WARNING, "few trips in 2022-04"),
    ]
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "not kept",
        "training on 2022-03",
        "training on 2022-04",
    ]


def test_a_line_after_a_pause_is_recorded_before_the_task_goes_on(
    recorder: ListRecorder,
) -> None:
    seen: list[int] = []

    @task
    def speak() -> None:
        get_run_logger().info("about to do something dangerous")
        seen.append(len(recorder.lines()))

    with Flow("speak") as flow:
        speak()
    run_flow(flow, recorder=recorder)
    assert seen == [1]


def test_many_lines_are_recorded_in_few_facts(recorder: ListRecorder) -> None:
    @task
    def chatter() -> None:
        for number in range(1000):
            get_run_logger().info("step %d", number)

    with Flow("chatter") as flow:
        chatter()
    run_flow(flow, recorder=recorder)
    assert [text for _, _, text in recorder.lines()] == [f"step {n}" for n in range(1000)]
    assert len(recorder.facts) < 50


def test_small_results_stay_in_the_record_and_large_ones_go_to_a_blob_first(
    recorder: ListRecorder,
) -> None:
    @task
    def give(size: int) -> bytes | None:
        return b"x" * size if size else None

    with Flow("results") as flow:
        give(0)
        give(10)
        give(10_000)
    run_flow(flow, recorder=recorder)
    nothing, small, large = (recorder.task_facts(f"give-{n}")[-1].result for n in (1, 2, 3))
    assert nothing == "none"
    assert small.startswith("inline:")
    assert list(recorder.blobs) == [large]


def test_a_result_that_cannot_be_kept_is_passed_on_with_a_warning(
    recorder: ListRecorder,
) -> None:
    @task
    def lock() -> object:
        return threading.Lock()

    @task
    def use(thing: Any) -> bool:  # noqa: ANN401 - a lock
        return bool(thing.acquire())

    with Flow("lock") as flow:
        used = use(lock())
    state = run_flow(flow, recorder=recorder)
    assert state.result[used].result is True
    assert recorder.task_facts("lock-1")[-1].result == ""
    assert any(level == logging.WARNING and "kept" in text for _, level, text in recorder.lines())


def test_an_interrupt_cancels_what_has_not_finished_and_passes(recorder: ListRecorder) -> None:
    @task
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Flow("interrupted") as flow:
        done = add(1)
        add(interrupted(upstream_tasks=[done]))
    with pytest.raises(KeyboardInterrupt):
        run_flow(flow, recorder=recorder)
    assert recorder.states("add-1")[-1] is StateKind.SUCCESS
    assert recorder.states("interrupted-1")[-1] is StateKind.CANCELLED
    assert recorder.states("add-2") == [StateKind.CANCELLED]
    assert recorder.flow_facts()[-1].state is StateKind.CANCELLED


def test_a_resumed_run_does_only_what_is_left(recorder: ListRecorder) -> None:
    calls: list[str] = []

    @task
    def prepare() -> bytes:
        calls.append("prepare")
        return b"trips" * 1000

    @task
    def train(trips: bytes, month: str) -> int:
        calls.append("train")
        if len(calls) == 2:
            raise KeyboardInterrupt
        return len(trips) + len(month)

    with Flow("resume") as flow:
        trained = train(prepare(), Parameter("month"))
    with pytest.raises(KeyboardInterrupt):
        run_flow(flow, recorder=recorder, parameters={"month": "2022-03"})
    initial = [run for run in recorder.task_runs() if run.state is StateKind.SUCCESS]
    state = run_flow(
        flow,
        recorder=recorder,
        parameters={"month": "2022-03"},
        flow_run_id=recorder.flow_facts()[0].flow_run_id,
        initial=initial,
    )
    assert calls == ["prepare", "train", "train"]
    assert state.result[trained].result == 5007
    assert state.is_successful()


def test_a_task_whose_result_was_not_kept_runs_again_when_it_is_needed(
    recorder: ListRecorder,
) -> None:
    calls: list[str] = []

    @task
    def lock() -> object:
        calls.append("lock")
        return threading.Lock()

    @task
    def use(thing: Any) -> bool:  # noqa: ANN401 - a lock
        calls.append("use")
        return bool(thing)

    with Flow("resume") as flow:
        use(lock())
    run_flow(flow, recorder=recorder)
    finished = recorder.task_runs()
    run_flow(flow, recorder=recorder, initial=finished[:1])
    assert calls == ["lock", "use", "lock", "use"]
    run_flow(flow, recorder=recorder, initial=finished)
    assert calls == ["lock", "use", "lock", "use"]


def test_finished_children_of_a_mapped_task_are_not_run_again(recorder: ListRecorder) -> None:
    calls: list[int] = []

    @task
    def clean(month: int) -> int:
        calls.append(month)
        return month * 10

    with Flow("resume") as flow:
        cleaned = clean.map([1, 2, 3])
    run_flow(flow, recorder=recorder)
    initial = [run for run in recorder.task_runs() if run.map_index != 1]
    state = run_flow(flow, recorder=recorder, initial=initial)
    assert calls == [1, 2, 3, 2]
    assert state.result[cleaned].result == [10, 20, 30]


def test_a_long_chain_needs_no_recursion(recorder: ListRecorder) -> None:
    with Flow("long") as flow:
        last = add(0)
        for _ in range(3000):
            last = add(last)
    assert run_flow(flow, recorder=recorder).result[last].result == 3001


def test_an_empty_flow_succeeds(recorder: ListRecorder) -> None:
    assert run_flow(Flow("empty"), recorder=recorder).is_successful()


def test_a_task_whose_result_is_gone_runs_again_when_it_is_needed(recorder: ListRecorder) -> None:
    calls: list[str] = []

    @task
    def download() -> str:
        calls.append("download")
        return "x" * 1000

    @task
    def size(trips: str) -> int:
        calls.append("size")
        return len(trips)

    with Flow("resume") as flow:
        measured = size(download())
    run_flow(flow, recorder=recorder)
    recorder.blobs.clear()
    (downloaded,) = [run for run in recorder.task_runs() if run.task_slug == "download-1"]
    state = run_flow(flow, recorder=recorder, initial=[downloaded])
    assert calls == ["download", "size", "download", "size"]
    assert state.result[measured].result == 1000


def test_a_store_that_is_away_is_waited_for_when_a_run_is_resumed(recorder: ListRecorder) -> None:
    calls: list[str] = []

    @task
    def download() -> str:
        calls.append("download")
        return "x" * 1000

    @task
    def size(trips: str) -> int:
        return len(trips)

    with Flow("resume") as flow:
        measured = size(download())
    run_flow(flow, recorder=recorder)
    recorder.away = 2
    (downloaded,) = [run for run in recorder.task_runs() if run.task_slug == "download-1"]
    state = run_flow(flow, recorder=recorder, initial=[downloaded])
    assert calls == ["download"]
    assert state.result[measured].result == 1000
    assert [line for *_, line in recorder.lines() if "Waiting for the store" in line]


def test_what_nobody_needs_any_more_is_not_made_again(recorder: ListRecorder) -> None:
    calls: list[str] = []

    @task
    def connect() -> dict[str, Any]:
        calls.append("connect")
        return {"lock": threading.Lock()}

    @task
    def use(lock: Any) -> int:  # noqa: ANN401 - a lock
        calls.append("use")
        return 1 if lock else 0

    @task
    def tell(number: int) -> None:
        calls.append(f"tell {number}")

    with Flow("resume") as flow:
        tell(use(connect()["lock"]))
    run_flow(flow, recorder=recorder)
    finished = [run for run in recorder.task_runs() if run.task_slug != "tell-1"]
    run_flow(flow, recorder=recorder, initial=finished)
    assert calls == ["connect", "use", "tell 1", "tell 1"]


def test_text_that_utf_8_cannot_hold_is_escaped_in_logs_and_messages(
    recorder: ListRecorder,
) -> None:
    @task
    def read() -> None:
        raise ValueError("\udcff")

    with Flow("odd names") as flow:
        name = read()
    state = run_flow(flow, recorder=recorder)
    assert state.result[name].is_failed()
    assert recorder.lines()[-1][2].endswith("ValueError: \\udcff")
    assert recorder.task_facts("read-1")[-1].message == "ValueError: \\udcff"


def test_a_line_is_of_the_element_of_a_map_that_wrote_it(recorder: ListRecorder) -> None:
    @task
    def work(x: int) -> int:
        get_run_logger().info("row %d", x)
        return x

    with Flow("map") as flow:
        work.map([7, 8])
    run_flow(flow, recorder=recorder)
    written = [fact.lines for fact in recorder.facts if isinstance(fact, LogsWritten)]
    lines = [line for each in written for line in each]
    assert [(line.map_index, line.message) for line in lines] == [(0, "row 7"), (1, "row 8")]
