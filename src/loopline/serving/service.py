"""All models of a process, and the paths at which each is asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

from loopline.errors import NotFoundError
from loopline.server.sites import Sites
from loopline.serving.meter import Meter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from loopline.serving.deployment import Deployment

__all__ = ["Service"]

#: Seconds between two looks for requests that have waited too long.
CHECK_EVERY_S = 0.1

_HELP = {
    "loopline_requests_total": ("counter", "Requests answered, by status."),
    "loopline_request_seconds": ("histogram", "From the whole request to its answer."),
    "loopline_predict_seconds": ("histogram", "One question to the model."),
    "loopline_batch_rows": ("histogram", "Rows of one question to the model."),
    "loopline_waiting_requests": ("gauge", "Requests without an answer yet."),
    "loopline_swaps_total": ("counter", "How often another version has taken over."),
    "loopline_swap_failures_total": ("counter", "Versions that were to take over and could not."),
    "loopline_predictions_recorded_total": ("counter", "Rows kept as records."),
    "loopline_predictions_left_out_total": ("counter", "Rows that could not be kept."),
    "loopline_shadow_difference": (
        "histogram",
        "How far a challenger's answer lies from the champion's, for each row.",
    ),
    "loopline_shadow_same_total": ("counter", "Rows for which both say the same."),
    "loopline_shadow_other_total": ("counter", "Rows for which they do not."),
    "loopline_shadows_left_out_total": ("counter", "Requests that a slow challenger was spared."),
    "loopline_model_info": ("gauge", "1 for the version that answers."),
}


class Service:
    """What a process serves.

    Attributes:
        deployments: By name, in the order in which they were named.
        meter: What is counted.
        sites: Whose requests are taken; at first everybody's.
    """

    def __init__(self, deployments: Iterable[Deployment] = (), meter: Meter | None = None) -> None:
        self.sites = Sites(frozenset(), command="serve")
        self.deployments = {each.name: each for each in deployments}
        self.meter = meter or Meter()
        for name, (kind, text) in _HELP.items():
            self.meter.describe(name, kind, text)
        self.meter.watch(self._gauges)

    def add(self, deployment: Deployment) -> None:
        """Serve one more."""
        self.deployments[deployment.name] = deployment

    def leads(self, path: str) -> bool:
        """Tell whether a POST to a path asks a model."""
        return path == "/invocations" or (
            path.startswith("/models/") and path.endswith("/invocations")
        )

    def find(self, path: str) -> Deployment:
        """Find what a path asks.

        Raises:
            NotFoundError: No model is served there; the message says which are.
        """
        if path == "/invocations":
            if len(self.deployments) == 1:
                return next(iter(self.deployments.values()))
            msg = f"Several models are served here. Ask one of {self._paths()}."
            raise NotFoundError(msg)
        return self.named(unquote(path.removeprefix("/models/").removesuffix("/invocations")))

    def named(self, name: str) -> Deployment:
        """Find a model by its name.

        Raises:
            NotFoundError: It is not served; the message says what is.
        """
        found = self.deployments.get(name)
        if found is None:
            msg = f"No model {name!r} is served here. Ask one of {self._paths()}."
            raise NotFoundError(msg)
        return found

    def check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look, again and again, for requests that have waited too long."""
        now = time.perf_counter()
        for deployment in self.deployments.values():
            for engine in deployment.engines:
                engine.check(now)
        loop.call_later(CHECK_EVERY_S, self.check, loop)

    def _paths(self) -> str:
        return ", ".join(f"/models/{name}/invocations" for name in self.deployments)

    def _gauges(self) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
        found: list[tuple[str, tuple[tuple[str, str], ...], float]] = []
        for name, each in self.deployments.items():
            labels = (("model", name),)
            waiting = sum(engine.waiting for engine in each.engines)
            found.append(("loopline_waiting_requests", labels, waiting))
            found.append(("loopline_swaps_total", labels, each.swaps))
            if each.recording is not None:
                kept, lost = each.recording.recorded, each.recording.left_out
                found.append(("loopline_predictions_recorded_total", labels, kept))
                found.append(("loopline_predictions_left_out_total", labels, lost))
            if each.engine is not None:
                version = each.engine.model.version
                found.append(("loopline_model_info", (*labels, ("version", version)), 1))
        return sorted(found)
