"""The Dask executor: tasks run on a cluster, started for the flow run or there already."""

from __future__ import annotations

import pickle
import queue
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from loopline.errors import FlowError, InvalidInputError, MissingExtraError
from loopline.flows.attempt import Outcome, run_attempt
from loopline.flows.executors.base import Executor, Pool
from loopline.flows.executors.isolated import cannot_send, pack_call
from loopline.flows.executors.messages import pack_outcome, unpack_outcome
from loopline.flows.executors.sendable import check_sendable
from loopline.flows.results import Result
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.flows.attempt import Call
    from loopline.flows.executors.base import Events
    from loopline.flows.flow import Flow

__all__ = ["DaskExecutor"]

#: How often an attempt is sent when its worker dies before it has begun: Dask blames each task
#: that a dead worker held, also those that only waited there.
_SEND_AGAIN = 4


class DaskExecutor(Executor):
    """Runs tasks on a Dask cluster.

    Args:
        address: Scheduler of a cluster that is there, such as ``"tcp://10.0.0.1:8786"``.
        cluster_class: What makes a cluster for each flow run, or its dotted name; a cluster of
            local processes by default.
        cluster_kwargs: Arguments for ``cluster_class``.
        adapt_kwargs: Arguments for the cluster's ``adapt``, to let it grow and shrink.
        client_kwargs: Arguments for ``distributed.Client``.

    Raises:
        InvalidInputError: Both an address and a way to make a cluster are given.
    """

    def __init__(
        self,
        address: str | None = None,
        cluster_class: str | Callable[..., Any] | None = None,
        cluster_kwargs: Mapping[str, Any] | None = None,
        adapt_kwargs: Mapping[str, Any] | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if address is not None and (cluster_class or cluster_kwargs or adapt_kwargs):
            msg = (
                "An address names a cluster that is there already. Leave it out to have one made "
                "with cluster_class, cluster_kwargs and adapt_kwargs."
            )
            raise InvalidInputError(msg)
        self.address = address
        self.cluster_class = cluster_class
        self.cluster_kwargs = dict(cluster_kwargs or {})
        self.adapt_kwargs = dict(adapt_kwargs or {})
        self.client_kwargs = dict(client_kwargs or {})

    def check(self, flow: Flow) -> None:
        """Refuse a flow with tasks that cannot be sent to the cluster.

        Raises:
            FlowBuildError: Names the task, and what of it cannot be.
        """
        check_sendable(flow, "a Dask cluster")

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Connect to the cluster, or make one.

        Raises:
            MissingExtraError: ``distributed`` is not installed.
        """
        try:
            import distributed
        except ImportError:
            raise MissingExtraError(
                "distributed", extra="dask", purpose="Running tasks with the DaskExecutor"
            ) from None
        cluster = None
        if self.address is None:
            make = self.cluster_class or distributed.LocalCluster
            cluster = _make_cluster(make, self.cluster_kwargs)
            if self.adapt_kwargs:
                cluster.adapt(**self.adapt_kwargs)
        connect: Any = distributed.Client
        client = connect(cluster or self.address, **self.client_kwargs)
        return _DaskPool(events, client, cluster, address)


def _make_cluster(make: str | Callable[..., Any], arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401
    import dask

    if isinstance(make, str):
        from distributed.utils import import_term

        make = cast("Callable[..., Any]", import_term(make))
    # A task whose worker died is an attempt that failed, for our retries to judge: Dask must
    # not run it again on its own.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        return make(**arguments)


class _Flight:
    """An attempt on its way."""

    __slots__ = ("call", "data", "has_started", "sent")

    def __init__(self, call: Call, data: bytes, sent: int) -> None:
        self.call = call
        self.data = data
        self.sent = sent
        self.has_started = False


class _DaskPool(Pool):
    """Attempts in flight on a Dask cluster."""

    def __init__(self, events: Events, client: Any, cluster: Any, address: str) -> None:  # noqa: ANN401
        self._events = events
        self._client = client
        self._cluster = cluster
        self._address = address
        self._topic = f"loopline-{uuid4().hex}"
        self._flights: dict[str, _Flight] = {}
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.subscribe_topic(self._topic, self._hear)

    def submit(self, call: Call) -> None:
        """Send an attempt to the cluster."""
        try:
            data = pack_call(call)
        except Exception as error:  # noqa: BLE001 - whatever pickling raises
            self._arrived.put(cannot_send(call, error))
            return
        self._send(call, data, sent=1)

    def _send(self, call: Call, data: bytes, *, sent: int) -> None:
        key = f"{call.where.task_slug}-{uuid4().hex}"
        self._flights[key] = _Flight(call, data, sent)
        future = self._client.submit(
            _run_on_worker, data, call.timeout_s, key, self._topic, self._address,
            key=key, pure=False, retries=0,
        )  # fmt: skip
        future.add_done_callback(self._arrived.put)

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Wait for an outcome."""
        try:
            arrived = self._arrived.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(arrived, Outcome):
            return arrived
        flight = self._flights.pop(arrived.key)
        try:
            return unpack_outcome(flight.call.where, pickle.loads(arrived.result()))  # noqa: S301
        except Exception as error:  # noqa: BLE001 - the cluster failed, not the task
            return self._judge(flight, error)
        finally:
            arrived.release()

    def _judge(self, flight: _Flight, error: Exception) -> Outcome | None:
        """Tell a task that lost its worker from one that only waited there to begin."""
        call = flight.call
        message = f"The Dask cluster could not run it: {type(error).__name__}: {error}"
        if type(error).__name__ == "KilledWorker":
            if not flight.has_started and flight.sent < _SEND_AGAIN:
                self._send(call, flight.data, sent=flight.sent + 1)
                return None
            worker = getattr(getattr(error, "last_worker", None), "address", "")
            message = f"Its Dask worker {worker} died."
        result = Result(FlowError(message))
        return Outcome(call.where, call.attempt, StateKind.FAILED, message, result)

    def close(self, *, abandon: bool) -> None:
        """Leave the cluster, and end it when it was made for this flow run."""
        if abandon:
            with suppress(Exception):
                self._client.cancel(list(self._flights), force=True)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _hear(self, event: tuple[Any, Any]) -> None:
        """Take what a worker tells while it runs an attempt."""
        key, *rest = event[1]
        flight = self._flights.get(key)
        if flight is None:
            return
        if rest:
            level, message, shown = rest
            self._events.logged(flight.call, level, message, shown=shown)
        else:
            flight.has_started = True
            self._events.started(flight.call)


def _run_on_worker(
    data: bytes, timeout_s: float | None, key: str, topic: str, address: str
) -> bytes:
    """Run an attempt; the body of every Dask task."""
    from distributed import get_worker
    from distributed.utils import sync

    from loopline.flows.executors.child import settle_records

    worker = get_worker()

    def sink(level: int, message: str, *, shown: bool) -> None:
        worker.log_event(topic, (key, level, message, shown))

    # Asked and answered, unlike a line of log: should the task kill its worker in its first
    # millisecond, the engine must know that it had begun.
    sync(worker.loop, worker.scheduler.log_event, topic=topic, msg=(key,))
    call: Call = pickle.loads(data)  # noqa: S301 - from our own engine
    call = call._replace(timeout_s=timeout_s, where=call.where._replace(address=address))
    outcome = run_attempt(call, sink)
    settle_records()
    return pickle.dumps(pack_outcome(outcome))
