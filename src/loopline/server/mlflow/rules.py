"""What a route of MLflow's protocol is: a row with a path, a request, and how it is answered.

Three kinds of function answer: one that asks the backend, in a thread; one that turns the request
into facts, which are committed together with those of other requests; and one that does with the
whole HTTP request as it likes (uploads and downloads).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact
    from loopline.server.mlflow.requests import Call

__all__ = ["Rule", "asks", "records"]


class Rule(NamedTuple):
    """A route.

    Attributes:
        path: Below ``/api/`` and ``/ajax-api/``.
        methods: HTTP methods; a GET has its request in the query.
        call: The request.
        answer: Asks the backend and returns the answer's fields; None where ``facts`` is given.
        facts: Turns the request into facts; the answer is empty.
        permission: What the caller must be allowed.
    """

    path: str
    methods: tuple[str, ...]
    call: type[Call]
    answer: Callable[[Backend, Any], dict[str, Any]] | None
    facts: Callable[[Any], list[Fact]] | None
    permission: str


def asks(
    path: str,
    call: type[Call],
    answer: Callable[[Backend, Any], dict[str, Any]],
    *,
    methods: tuple[str, ...] = ("GET",),
    permission: str = "",
    version: str = "2.0",
) -> Rule:
    """Make a route that asks the backend; what is no GET may change something."""
    needed = permission or ("view" if methods == ("GET",) else "edit")
    return Rule(f"{version}/mlflow/{path}", methods, call, answer, None, needed)


def records(path: str, call: type[Call], facts: Callable[[Any], list[Fact]]) -> Rule:
    """Make a route that records facts and answers nothing."""
    return Rule(f"2.0/mlflow/{path}", ("POST",), call, None, facts, "edit")
