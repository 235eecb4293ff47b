"""What a server does by itself: close lost runs, make due flow runs, adopt, sweep."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from loopline.errors import LooplineError
from loopline.records.operations import CloseLostFlowRuns, CloseLostRuns, MaterialiseSchedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend

__all__ = ["Janitor"]

log = logging.getLogger("loopline.server")

EVERY_S = 5.0

#: A writer is lost when it was silent for this long; it says that it lives every 10 seconds.
#: With the pause between two looks that makes half a minute from its death at most.
SILENT_S = 25.0


#: Between two looks for files that were never finished.
SWEEP_EVERY_S = 600.0


class Janitor:
    """A thread that keeps a store tidy while a server runs over it.

    Args:
        backend: The server's own.
        adopt: Takes over the journals of dead processes on this machine, if it can.
        sweep: Removes files that were never finished.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        adopt: Callable[[], object] | None = None,
        sweep: Callable[[], object] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._backend = backend
        self._adopt = adopt
        self._sweep = sweep
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="loopline-janitor", daemon=True)
        self._last_error: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End after the step in hand."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _loop(self) -> None:
        listening_since = woke = time.monotonic()
        clock_ahead = time.time() - woke
        swept = -SWEEP_EVERY_S
        while True:
            if self._sweep is not None and time.monotonic() - swept >= SWEEP_EVERY_S:
                swept = time.monotonic()
                self._do("removing unfinished files", self._sweep)
            if self._adopt is not None:
                self._do("adopting journals of dead processes", self._adopt)
            self._do("making due flow runs", lambda: self._backend.call(MaterialiseSchedules()))
            # While this server was down or its machine slept, nobody's sign of life came
            # through, and after a jump of the clock the last ones seem long ago: silence counts
            # only from when it could have been heard.
            now = time.monotonic()
            jumped = abs(time.time() - now - clock_ahead) > self._every_s
            if now - woke > 3 * self._every_s or jumped:
                listening_since = now
            woke, clock_ahead = now, time.time() - now
            if now - listening_since > SILENT_S:
                self._do(
                    "closing lost runs",
                    lambda: self._backend.call(CloseLostRuns(silent_s=SILENT_S)),
                )
                self._do("closing lost flow runs", lambda: self._backend.call(CloseLostFlowRuns()))
            if self._stop.wait(self._every_s):
                return

    def _do(self, what: str, step: Callable[[], object]) -> None:
        """Do one step; a lasting failure is logged once, and its end too."""
        try:
            step()
        except (LooplineError, OSError) as error:
            if self._last_error.get(what) != str(error):
                self._last_error[what] = str(error)
                log.warning("%s failed and is tried again: %s", what.capitalize(), error)
        except Exception:
            # One step's fault must not stop the others; it is logged each time it changes.
            if self._last_error.get(what) != "fault":
                self._last_error[what] = "fault"
                log.exception("%s failed", what.capitalize())
        else:
            if self._last_error.pop(what, None) is not None:
                log.warning("%s works again", what.capitalize())
