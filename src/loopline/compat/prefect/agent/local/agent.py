"""``LocalAgent(labels=[...]).start()`` is `loopline worker --label ...`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.errors import UnsupportedError
from loopline.worker import run_worker
from loopline.worker.worker import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LocalAgent"]


class LocalAgent:
    """Runs due flow runs on this machine.

    Args:
        agent_config_id: Taken for Prefect's sake.
        name: What the worker is called.
        labels: It takes runs that ask for no others.
        env_vars: Variables of the processes of runs: set them where the worker starts.
        slots: How many runs at a time.
        **kwargs: Taken for Prefect's sake.

    Raises:
        UnsupportedError: With ``env_vars``.
    """

    def __init__(
        self,
        agent_config_id: str | None = None,
        name: str | None = None,
        labels: Iterable[str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        *,
        slots: int = 10,
        **kwargs: object,
    ) -> None:
        if env_vars:
            msg = "Set environment variables where the worker starts: its runs inherit them."
            raise UnsupportedError(msg)
        self.name = name or ""
        self.labels = list(labels or ())
        self.slots = slots

    def start(self) -> None:
        """Work until Ctrl-C or SIGTERM; what runs then is finished."""
        stop, stop_now = stop_on_signals()
        run_worker(
            get_recorder().address, name=self.name, slots=self.slots, labels=self.labels,
            stop=stop, stop_now=stop_now,
        )  # fmt: skip
