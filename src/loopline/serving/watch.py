"""Following the registry: a newly promoted version is loaded beside the old one, then answers."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from loopline.errors import BackendUnavailableError, LooplineError
from loopline.serving.model import load_served

if TYPE_CHECKING:
    import asyncio

    from loopline.serving.deployment import Deployment
    from loopline.serving.model import ServedModel
    from loopline.serving.source import Found, Source

__all__ = ["Watch"]

log = logging.getLogger("loopline.serving")

#: Seconds that a stop waits for a look at the registry; loading a large model takes longer.
STOP_S = 5.0


class Watch:
    """Keeps one deployment at what its address means, in a thread of its own."""

    def __init__(
        self,
        source: Source,
        deployment: Deployment,
        *,
        loop: asyncio.AbstractEventLoop,
        every_s: float,
        allow_pickle: bool,
        can_batch: bool | None,
    ) -> None:
        self._source = source
        self._deployment = deployment
        self._loop = loop
        self._every_s = every_s
        self._allow_pickle = allow_pickle
        self._can_batch = can_batch
        self._there: Found | None = None
        self._refused: Found | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._follow, name=f"loopline-watch-{source.name}", daemon=True
        )

    def start(self, found: Found) -> None:
        """Follow from what is served now."""
        self._there = found
        if self._source.moves:
            self._thread.start()

    def load(self) -> tuple[Found, ServedModel]:
        """Load what the address means now.

        Raises:
            LooplineError: There is nothing, or it cannot be loaded.
        """
        found = self._source.look()
        return found, self._load(found)

    def stop(self) -> None:
        """Follow no more; a look that has begun is waited for, as it asks the store of its time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _load(self, found: Found) -> ServedModel:
        return load_served(
            self._source.fetch(found),
            self._source.name,
            found.version,
            allow_pickle=self._allow_pickle,
            can_batch=self._can_batch,
        )

    def _follow(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.look_once()
            except Exception as error:  # It must outlive whatever a store or a model does.
                log.exception("Looking for a newer version of %s failed", self._source.name)
                self._tell(f"Looking for a newer version failed: {error}")

    def look_once(self) -> None:
        """Look whether the address means another version, and have that one answer."""
        try:
            found = self._source.look()
        except BackendUnavailableError as error:
            log.warning("%s keeps its version: %s", self._source.name, error)
            return
        except LooplineError as error:
            self._tell(f"{self._source.address} means nothing now, and the version before stays: "
                       f"{error}")  # fmt: skip
            return
        if found == self._there:
            self._refused = None
            self._call(self._deployment.recover)
            return
        if found == self._refused:
            return
        try:
            model = self._load(found)
        except Exception as error:  # noqa: BLE001 - a user's model may raise anything
            self._refused = found
            self._tell(f"Version {found.version} cannot be loaded, and the one before stays: "
                       f"{error}")  # fmt: skip
            return
        self._there, self._refused = found, None
        self._call(self._deployment.put, model)

    def _tell(self, problem: str) -> None:
        self._call(self._deployment.fail, problem)

    def _call(self, work: object, *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *args)  # type: ignore[arg-type]
