"""The Dask executor: tasks run on a cluster, started for the flow run or there already."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from loopline.errors import FlowBuildError, FlowError, InvalidInputError, MissingExtraError
from loopline.flows.executors.base import Executor, Pool
from loopline.flows.executors.sendable import check_sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.flows.executors.base import Events
    from loopline.flows.flow import Flow

__all__ = ["DaskExecutor"]

#: How long a scheduler may take to answer, unless ``client_kwargs`` has a ``timeout``.
_CONNECT_S = 10


class DaskExecutor(Executor):
    """Runs tasks on a Dask cluster.

    Args:
        address: Scheduler of a cluster that is there, such as ``"tcp://10.0.0.1:8786"``.
        cluster_class: What makes a cluster for each flow run, or its dotted name; a cluster of
            local processes by default.
        cluster_kwargs: Arguments for ``cluster_class``.
        adapt_kwargs: Arguments for the cluster's ``adapt``, to let it grow and shrink.
        client_kwargs: Arguments for ``distributed.Client``.
        debug: Show what a local cluster warns of.
        performance_report_path: Where to write Dask's report of the flow run, as HTML.

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
        debug: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        performance_report_path: str | None = None,
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
        self.debug = bool(debug)
        self.performance_report_path = performance_report_path

    def check(self, flow: Flow) -> None:
        """Refuse a flow with tasks that cannot be sent to the cluster.

        Raises:
            FlowBuildError: Names the task, and what of it cannot be; or the cluster's class.
            MissingExtraError: ``distributed`` is not installed.
        """
        _imported()
        if self.performance_report_path is not None and not _is_there("bokeh"):
            raise MissingExtraError("bokeh", purpose="Dask's performance report")
        if self.address is None:
            self._maker()
        check_sendable(flow, "a Dask cluster")

    def open(self, events: Events, *, address: str = "") -> Pool:
        """Connect to the cluster, or make one.

        Raises:
            FlowError: There is none, or it cannot be made.
            MissingExtraError: ``distributed`` is not installed.
        """
        distributed = _imported()
        from loopline.flows.executors.dask_pool import DaskPool

        with ExitStack() as opened:
            cluster = None
            if self.address is None:
                cluster = self._make_cluster()
                opened.callback(cluster.close)
                if self.adapt_kwargs:
                    cluster.adapt(**self.adapt_kwargs)
            client = self._connect(distributed, cluster)
            opened.callback(client.close)
            if self.performance_report_path is not None:
                opened.enter_context(client.as_current())
                opened.enter_context(
                    distributed.performance_report(filename=self.performance_report_path)
                )
            # Closed by the pool, or here when it cannot be made.
            return DaskPool(events, client, opened.pop_all(), address)

    def _connect(self, distributed: Any, cluster: Any) -> Any:  # noqa: ANN401 - Dask's
        settings = {"timeout": _CONNECT_S, "set_as_default": False, **self.client_kwargs}
        try:
            return distributed.Client(cluster or self.address, **settings)
        except (OSError, ValueError) as error:
            msg = (
                f"No Dask scheduler answers at {self.address or 'the cluster just made'} within "
                f"{settings['timeout']} s ({error}). Start one with `dask scheduler`, or check "
                "host and port of the address."
            )
            raise FlowError(msg) from error

    def _maker(self) -> Callable[..., Any]:
        """Find what makes a cluster.

        Raises:
            FlowBuildError: Nothing has that name.
        """
        if self.cluster_class is None:
            return cast("Callable[..., Any]", _imported().LocalCluster)
        if not isinstance(self.cluster_class, str):
            return self.cluster_class
        from distributed.utils import import_term

        try:
            return cast("Callable[..., Any]", import_term(self.cluster_class))
        except (ImportError, AttributeError, ValueError) as error:
            msg = (
                f"There is no cluster class {self.cluster_class!r} ({error}). Give the dotted "
                "name of one that is installed, such as 'distributed.LocalCluster' or "
                "'dask_jobqueue.SLURMCluster'."
            )
            raise FlowBuildError(msg) from error

    def _make_cluster(self) -> Any:  # noqa: ANN401 - Dask's
        import dask

        make = self._maker()
        arguments = dict(self.cluster_kwargs)
        if make is _imported().LocalCluster:
            arguments.setdefault(
                "silence_logs", logging.WARNING if self.debug else logging.CRITICAL
            )
        # A task whose worker died is an attempt that failed, for our retries to judge: Dask must
        # not run it again on its own.
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            try:
                return make(**arguments)
            except Exception as error:
                name = getattr(make, "__name__", make)
                msg = (
                    f"{name} could not make a cluster ({type(error).__name__}: {error}). Check "
                    "cluster_kwargs, or name a cluster that is there with address=."
                )
                raise FlowError(msg) from error


def _is_there(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def _imported() -> Any:  # noqa: ANN401 - the module
    try:
        import distributed
    except ImportError:
        raise MissingExtraError(
            "distributed", extra="dask", purpose="Running tasks with the DaskExecutor"
        ) from None
    return distributed
