"""Delivering what waits in the outbox of webhooks: a few at a time, again after a pause."""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from loopline.errors import LooplineError
from loopline.rules.webhooks import pause_s, signature
from loopline.server.couriers import Outcome, post
from loopline.store.webhooks import open_secret, settle, take_due

if TYPE_CHECKING:
    from loopline.store.database import Store
    from loopline.store.webhooks import Due

__all__ = ["Deliveries", "deliver"]

log = logging.getLogger("loopline.server")

#: Seconds between two looks into the outbox.
EVERY_S = 1.0
#: Deliveries under way at once: a receiver that is slow holds up few others.
TOGETHER = 8


def deliver(url: str, secret: str, delivery_id: str, body: str, *, allow_private: bool) -> Outcome:
    """Post one delivery, signed if there is a secret."""
    data, at = body.encode(), str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "loopline",
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": at,
    }
    if secret:
        headers["X-MLflow-Signature"] = signature(secret, delivery_id, at, data)
    return post(url, data, headers, allow_private=allow_private)


class Deliveries:
    """A thread that empties the outbox while a server runs.

    Args:
        store: Where the outbox is; several servers may share it.
        allow_private: Post to addresses of this machine and its networks, too.
    """

    def __init__(self, store: Store, *, allow_private: bool) -> None:
        self._store = store
        self._allow_private = allow_private
        self._every_s = EVERY_S
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(TOGETHER, thread_name_prefix="loopline-webhook")
        self._thread = threading.Thread(target=self._loop, name="loopline-webhooks", daemon=True)
        self._last_error = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End; what is under way is tried again by whoever comes next, under the same id."""
        self._stop.set()
        self._thread.join(timeout_s)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                due = take_due(self._store, TOGETHER)
                for done in [self._pool.submit(self._try, each) for each in due]:
                    done.result()
                self._last_error = ""
            except (LooplineError, OSError, RuntimeError) as error:
                due = []
                if str(error) != self._last_error and not self._stop.is_set():
                    self._last_error = str(error)
                    log.warning("Delivering webhooks failed and is tried again: %s", error)
            if not due and self._stop.wait(self._every_s):
                return

    def _try(self, due: Due) -> None:
        try:
            secret = open_secret(self._store, due.webhook_id, due.sealed)
        except LooplineError as error:  # Rather late than unsigned: its key may be brought back.
            outcome = Outcome(status=0, error=str(error))
        else:
            outcome = deliver(
                due.url, secret, due.delivery_id, due.body, allow_private=self._allow_private
            )
        again_ms = int(pause_s(due.tries, random.random()) * 1000)  # noqa: S311 - spreads only
        settle(self._store, due, status=outcome.status, error=outcome.error, again_ms=again_ms)
