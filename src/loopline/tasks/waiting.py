"""Waiting as tasks: for a file, an object, an answer over HTTP, a row.

Inside a flow run a task that waits gives its slot back between two looks (it asks to be tried
again), so that a hundred of them hold up nothing else, and a worker that takes over goes on
waiting.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.flows.context import context
from loopline.flows.signals import FAIL, RETRY
from loopline.flows.task import Task
from loopline.rules.patience import Patience
from loopline.settings import expanded
from loopline.tasks.copying import found_at
from loopline.tasks.given import needed, pause
from loopline.tasks.http import HttpAnswer, ask
from loopline.tasks.sql import SQLQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["WaitFor", "WaitForFile", "WaitForHttp", "WaitForRow", "WaitingTask"]

#: A pause up to this long is waited out where it is: giving the slot back costs more.
_HELD_S = 1.0

#: When each task run of this process began to wait. A process that takes over does not know; it
#: goes by the number of looks there were.
_began: dict[tuple[str, str, int], float] = {}


class WaitingTask(Task):
    """Something to wait for; subclasses have ``look``.

    Args:
        wait_s: Seconds after which to give up, at the earliest; None: never.
        every_s: Seconds between the first two looks.
        longest_s: The pause grows by half each time, up to so many seconds.
        on_timeout: What the task does when it gives up: ``"fail"`` or ``"none"`` (returns None).
        **options: As ``Task`` has them. ``timeout`` is for a single look.
    """

    def __init__(
        self,
        *,
        wait_s: timedelta | float | None = 3600.0,
        every_s: float = 1.0,
        longest_s: float = 60.0,
        on_timeout: str = "fail",
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        if on_timeout not in {"fail", "none"}:
            msg = f"on_timeout={on_timeout!r} is unknown. Use fail or none."
            raise InvalidInputError(msg)
        limit_s = wait_s.total_seconds() if isinstance(wait_s, timedelta) else wait_s
        self.patience = Patience(first_s=every_s, longest_s=longest_s, limit_s=limit_s)
        self.on_timeout = on_timeout
        super().__init__(**options)

    def wait(self, look: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - what was found
        """Look until there is something, or patience ends.

        Args:
            look: Returns what was found, or None.
            what: What is waited for, for the log.

        Raises:
            FAIL: It did not come in time.
            RETRY: Inside a flow run: it is not there yet.
        """
        if "task_slug" not in context:
            return self._look_on(look, what, time.monotonic(), 1, is_alone=True)
        key = (context["flow_run_id"], context["task_slug"], context["map_index"])
        began = _began.setdefault(key, time.monotonic())
        try:
            found = self._look_on(look, what, began, context["task_run_count"], is_alone=False)
        except RETRY:
            raise
        except BaseException:
            _began.pop(key, None)
            raise
        _began.pop(key, None)
        return found

    def _look_on(
        self, look: Callable[[], Any], what: str, began: float, looks: int, *, is_alone: bool
    ) -> Any:  # noqa: ANN401 - what was found
        while True:
            found = look()
            if found is not None:
                return found
            # Looks may be slow, so the clock counts; a process that took over has not got it.
            waited_s = max(time.monotonic() - began, self.patience.paused_s(looks))
            after_s = self.patience.next_s(looks, waited_s)
            if after_s is None:
                break
            if after_s > _HELD_S and not is_alone:
                msg = f"Waiting for {what}."
                raise RETRY(msg, after=timedelta(seconds=after_s))
            pause(after_s)
            looks += 1
        if self.on_timeout == "none":
            return None
        msg = f"Gave up after {waited_s:.3g} s of waiting for {what}."
        raise FAIL(msg)


class WaitFor(WaitingTask):
    """Wait until a function returns something other than None or False.

    Args:
        ready: The function; it takes nothing, or what the task is called with.
        what: What is waited for, for the log.
        **options: As ``WaitingTask`` has them.
    """

    def __init__(self, ready: Callable[..., Any], what: str = "", **options: Any) -> None:  # noqa: ANN401
        self.ready = ready
        self.what = what or getattr(ready, "__name__", "what was asked for")
        super().__init__(**options)

    def run(self, **arguments: Any) -> Any:  # noqa: ANN401 - the function's own
        """Wait; return what the function returned."""

        def look() -> Any:  # noqa: ANN401 - as above
            found = self.ready(**arguments)
            return None if found is False else found

        return self.wait(look, self.what)


class WaitForFile(WaitingTask):
    """Wait for a file, a folder with files, an object of a bucket, or objects below a prefix.

    Args:
        path: A path or an address such as ``s3://bucket/folder/file``.
        least_bytes: How long it must be at least.
        settled_s: With more than 0: it must also keep its length for so many seconds, for files
            that are still being written.
        **options: As ``WaitingTask`` has them.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        least_bytes: int = 0,
        settled_s: float = 0.0,
        **options: Any,  # noqa: ANN401 - as WaitingTask has them
    ) -> None:
        self.path = path
        self.least_bytes = least_bytes
        self.settled_s = settled_s
        super().__init__(**options)

    def run(self, path: str | None = None) -> str | None:
        """Wait; return the path or address."""
        where = expanded(str(needed(self, "path", path, self.path)))

        def look() -> str | None:
            size = found_at(where)
            if size is None or size < self.least_bytes:
                return None
            if self.settled_s:
                pause(self.settled_s)
                if found_at(where) != size:
                    return None
            return where

        found: str | None = self.wait(look, where)
        return found


class WaitForHttp(WaitingTask):
    """Wait until a server gives an answer that is good enough.

    Args:
        url: ``${NAME}`` stands for an environment variable.
        status: The status that is waited for; by default any 2xx.
        contains: A text that the answer must have in it.
        headers: ``${NAME}`` stands for an environment variable in their values.
        timeout_s: Seconds for a single question.
        **options: As ``WaitingTask`` has them.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        status: int | None = None,
        contains: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        **options: Any,  # noqa: ANN401 - as WaitingTask has them
    ) -> None:
        self.url = url
        self.status = status
        self.contains = contains
        self.headers = dict(headers or {})
        self.timeout_s = timeout_s
        super().__init__(**options)

    def run(self, url: str | None = None) -> HttpAnswer | None:
        """Wait; return the answer."""
        url = needed(self, "url", url, self.url)
        headers = {name: expanded(value) for name, value in self.headers.items()}

        def look() -> HttpAnswer | None:
            try:
                answer = ask(expanded(url), headers=headers, timeout_s=self.timeout_s)
            except OSError:
                return None
            is_it = answer.is_ok if self.status is None else answer.status == self.status
            return answer if is_it and self.contains in answer.text else None

        found: HttpAnswer | None = self.wait(look, url)
        return found


class WaitForRow(WaitingTask):
    """Wait until a query answers a row.

    Args:
        query: One SELECT.
        url: The database's SQLAlchemy URL; ``${NAME}`` stands for an environment variable.
        **options: As ``WaitingTask`` has them.
    """

    def __init__(
        self,
        query: str | None = None,
        url: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.query = query
        self.url = url
        super().__init__(**options)

    def run(
        self, query: str | None = None, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Wait; return the first row, by column."""
        ask_row = SQLQuery(needed(self, "query", query, self.query), self.url, fetch="one")
        found: dict[str, Any] | None = self.wait(
            lambda: ask_row.run(params=params), "a row of the query"
        )
        return found
