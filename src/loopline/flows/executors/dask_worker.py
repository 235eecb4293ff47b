"""What runs on a Dask worker: one attempt, told of while it runs, its large result kept there."""

from __future__ import annotations

import asyncio
import os
import pickle
import tempfile
import threading
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import LooplineError
from loopline.flows.executors.child import settle_records
from loopline.flows.executors.isolated import GRACE_S, IsolatedProcess
from loopline.flows.executors.messages import pack_outcome
from loopline.flows.executors.remote import put_in_places
from loopline.flows.executors.threads import interrupt
from loopline.flows.running.attempt import Call, Outcome, run_attempt
from loopline.flows.running.results import load_reference
from loopline.records.flows import StateKind
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from loopline.flows.task import Task

__all__ = ["LARGE_BYTES", "Attempt", "home_mark", "run_on_worker", "stop_attempts"]

#: Results above this many bytes when pickled stay where they are.
LARGE_BYTES = 64 << 10
#: Seconds for which what attempts tell is gathered.
_TELL_EVERY_S = 0.2
#: Tasks that a worker keeps unpickled.
_KNOWN_TASKS = 256


class Attempt(NamedTuple):
    """An attempt on its way to a worker.

    Attributes:
        key: Dask's name of it.
        topic: Under which the engine listens.
        task_id: Names ``task``: a worker unpickles it once.
        task: The task and the run's values, pickled.
        arguments: Pickled, with places for results that the worker gets by itself.
        where: Of the call: flow run, slug, index and token.
        address: Where the task records to.
        mark: See ``home_mark``: whether the worker is on the engine's machine.
        references: For results whose worker is gone: what to read from the blob store instead.
        must_tell: Have it confirmed that the attempt began, before it does.
    """

    key: str
    topic: str
    task_id: str
    task: bytes
    arguments: bytes
    where: tuple[Any, ...]
    attempt: int
    timeout_s: float | None
    address: str
    mark: tuple[Any, ...]
    references: tuple[str, ...] = ()
    must_tell: bool = False


class LargeResult:
    """An outcome whose value stays on the worker.

    Attributes:
        parts: The packed outcome, without the value.
        reference: Of the value in the blob store; empty when it is not there.
    """

    def __init__(self, parts: tuple[Any, ...], reference: str, value: object) -> None:
        self.parts = parts
        self.reference = reference
        self.value = value

    def __sizeof__(self) -> int:
        """Tell Dask what it holds."""
        from dask.sizeof import sizeof

        return int(sizeof(self.value))


_tasks: OrderedDict[str, tuple[Task, dict[str, Any]]] = OrderedDict()
_tasks_lock = threading.Lock()
#: What runs here now: by topic, the threads and processes to stop.
_running: dict[str, dict[str, threading.Thread | IsolatedProcess]] = {}


def home_mark(address: str) -> tuple[Any, ...]:
    """Tell a home folder on this machine from one of the same name on another; empty: no folder."""
    if tracking_address(address or None).kind != "home":
        return ()
    try:
        found = Path(tracking_address(address or None).text).stat()
        boot = Path("/proc/sys/kernel/random/boot_id")
        return (boot.read_text() if boot.exists() else "", found.st_dev, found.st_ino)
    except OSError:
        return ()


def run_on_worker(packed: bytes, futures: list[Any] | None = None) -> Any:  # noqa: ANN401 - packed outcome
    """Make an attempt; the body of every Dask task.

    Args:
        packed: The ``Attempt``.
        futures: Large results that other workers had.

    Returns:
        The packed outcome, and what was told and not sent; or a ``LargeResult``, which stays
        here unless somebody takes it.
    """
    from distributed import get_worker

    attempt: Attempt = pickle.loads(packed)  # noqa: S301 - from our own engine
    worker = get_worker()
    _tell_it_began(worker, attempt)

    def sink(level: int, message: str, *, shown: bool) -> None:
        _telling.tell(worker, attempt, (attempt.key, level, message, shown))

    running = _running.setdefault(attempt.topic, {})
    try:
        call = _call(attempt, futures or [])
        outcome = _make(call, attempt, running, sink)
    except KeyboardInterrupt:  # Told to stop, as by Ctrl-C.
        outcome = None
    finally:
        running.pop(attempt.key, None)
    settle_records()
    if outcome is None:
        _telling.left(attempt)
        return (attempt.attempt, str(StateKind.CANCELLED), "Told to stop.", None, None, True), []
    parts = pack_outcome(outcome)
    data = parts[3]
    if data is None or len(data) <= LARGE_BYTES or not outcome.state.is_successful:
        return parts, _telling.left(attempt)
    reference = _kept(data, attempt)
    parts = (*parts[:3], None, *parts[4:])
    # Answered before the value is there: so the engine knows that it need not fetch it.
    _ask(worker, attempt, [*_telling.left(attempt), (attempt.key, parts, reference)])
    return LargeResult(parts, reference, outcome.result.value)


def _call(attempt: Attempt, futures: list[Any]) -> Call:
    task, values = _task(attempt)
    arguments = pickle.loads(attempt.arguments)  # noqa: S301 - from our own engine
    given = [each.value for each in futures]
    if attempt.references:
        from loopline.backend.recorder import get_recorder

        backend = get_recorder(attempt.address or None).backend
        given = [load_reference(each, backend.open_blob) for each in attempt.references]
    if given:
        arguments = put_in_places(arguments, given)
    where = attempt.where[0]._replace(address=attempt.address)
    return Call(task, arguments, values, where, attempt.attempt, attempt.timeout_s)


def _make(
    call: Call,
    attempt: Attempt,
    running: dict[str, threading.Thread | IsolatedProcess],
    sink: Any,  # noqa: ANN401 - a Sink
) -> Outcome:
    if getattr(call.task, "limits", None) is None:
        running[attempt.key] = threading.current_thread()
        return run_attempt(call, sink)
    process = IsolatedProcess(address=attempt.address)
    running[attempt.key] = process
    try:
        return process.attempt(call, _Told(sink))
    finally:
        process.dismiss()


class _Told:
    """Hears what an isolated process tells."""

    def __init__(self, sink: Any) -> None:  # noqa: ANN401 - a Sink
        self._sink = sink

    def started(self, call: Call) -> None:
        """Known already."""

    def logged(self, call: Call, level: int, message: str, *, shown: bool) -> None:  # noqa: ARG002
        """Pass a line on."""
        self._sink(level, message, shown=shown)


def _tell_it_began(worker: Any, attempt: Attempt) -> None:  # noqa: ANN401 - Dask's
    if attempt.must_tell:
        # This attempt lost its worker before, perhaps in its first millisecond.
        _ask(worker, attempt, [(attempt.key,)])
    else:
        _telling.tell(worker, attempt, (attempt.key,))


class _Telling:
    """Sends what attempts tell, all of it together five times a second.

    What an attempt told just before it ended goes with its outcome; a short one makes no message.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Any, str, list[tuple[Any, ...]]]] = {}
        self._thread: threading.Thread | None = None

    def tell(self, worker: Any, attempt: Attempt, message: tuple[Any, ...]) -> None:  # noqa: ANN401 - Dask's
        """Take a message: the attempt's key, and what there is to say."""
        with self._lock:
            known = self._waiting.get(attempt.key)
            if known is None:
                known = self._waiting[attempt.key] = (worker, attempt.topic, [])
            known[2].append(message)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send, name="loopline telling", daemon=True
                )
                self._thread.start()

    def left(self, attempt: Attempt) -> list[tuple[Any, ...]]:
        """Give back what was not sent yet."""
        with self._lock:
            known = self._waiting.pop(attempt.key, None)
        return [] if known is None else known[2]

    def _send(self) -> None:
        while True:
            time.sleep(_TELL_EVERY_S)
            with self._lock:
                waiting, self._waiting = self._waiting, {}
                if not waiting:
                    self._thread = None
                    return
            together: dict[tuple[int, str], tuple[Any, list[tuple[Any, ...]]]] = {}
            for worker, topic, messages in waiting.values():
                together.setdefault((id(worker), topic), (worker, []))[1].extend(messages)
            for (_, topic), (worker, messages) in together.items():
                worker.log_event(topic, messages)


_telling = _Telling()


def _ask(worker: Any, attempt: Attempt, messages: list[tuple[Any, ...]]) -> None:  # noqa: ANN401 - Dask's
    """Tell the engine something, and wait until the scheduler has it."""
    from distributed.utils import sync

    sync(worker.loop, worker.scheduler.log_event, topic=attempt.topic, msg=messages)


def _task(attempt: Attempt) -> tuple[Task, dict[str, Any]]:
    with _tasks_lock:
        known = _tasks.get(attempt.task_id)
        if known is None:
            known = _tasks[attempt.task_id] = pickle.loads(attempt.task)  # noqa: S301 - our own
            while len(_tasks) > _KNOWN_TASKS:
                _tasks.popitem(last=False)
        return known


def _kept(data: bytes, attempt: Attempt) -> str:
    """Put a large result into the blob store; empty when this worker cannot reach it."""
    is_server = tracking_address(attempt.address or None).kind == "http"
    if not is_server and not (attempt.mark and home_mark(attempt.address) == attempt.mark):
        return ""
    from loopline.backend.recorder import get_recorder

    handle, name = tempfile.mkstemp(prefix="loopline-result-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return get_recorder(attempt.address or None).backend.put_blob(Path(name))[0]
    except (LooplineError, OSError):
        return ""  # The engine brings it to the store, as it does with small ones.
    finally:
        Path(name).unlink(missing_ok=True)


async def stop_attempts(topic: str) -> None:
    """Tell what runs on this worker for a flow run to stop, and wait a moment until it has."""
    running = _running.get(topic, {})
    loop = asyncio.get_running_loop()
    stopping = []
    for each in list(running.values()):
        if isinstance(each, IsolatedProcess):
            stopping.append(loop.run_in_executor(None, partial(each.stop, grace_s=GRACE_S)))
        else:
            interrupt(each)
    until = time.monotonic() + GRACE_S
    while running and time.monotonic() < until:  # noqa: ASYNC110 - these are threads
        await asyncio.sleep(0.01)
    if stopping:
        await asyncio.wait(stopping, timeout=1.0)
