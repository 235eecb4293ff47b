"""Secrets as tasks: read where a task needs them, and never kept with a task run's result.

What these tasks return is the value, which other tasks use as any text. When it is written down
(with a result, or on the way to another process), it is written as the place to read it from.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.flows.context import context
from loopline.flows.task import Task
from loopline.records.operations import GetSecret
from loopline.tasks.given import needed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EnvVarSecret", "SecretTask", "read_secret"]

#: Before a secret's name, these make the names of environment variables that may hold it.
_PREFIXES = ("LOOPLINE_SECRET_", "PREFECT__CONTEXT__SECRETS__")


class _Hidden:
    """A value that is pickled as the way to it, and whose ``repr`` does not show it."""

    _way: tuple[Callable[..., Any], tuple[Any, ...]]

    def __reduce_ex__(self, _protocol: object) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._way

    def __repr__(self) -> str:
        return "<secret>"


class _Text(_Hidden, str):  # noqa: SLOT000 - it has the way to it
    pass


class _Bytes(_Hidden, bytes):
    pass


class _Int(_Hidden, int):
    pass


class _Float(_Hidden, float):
    pass


class _Dict(_Hidden, dict[Any, Any]):
    pass


class _List(_Hidden, list[Any]):
    pass


_KINDS: dict[type, type[Any]] = {
    str: _Text, bytes: _Bytes, int: _Int, float: _Float, dict: _Dict, list: _List,
}  # fmt: skip


class SecretTask(Task):
    """Read a secret by its name.

    It is looked for in ``context["secrets"]``, then in the environment variable
    ``LOOPLINE_SECRET_<NAME>``, then in the store (``loopline secrets set``). A text that is JSON (a
    number, a list, an object) becomes that.

    Args:
        name: The secret's name.
        **options: As ``Task`` has them.
    """

    def __init__(self, name: str | None = None, **options: Any) -> None:  # noqa: ANN401
        self.secret_name = name
        super().__init__(name=name, **options)

    def run(self, name: str | None = None) -> Any:  # noqa: ANN401 - what it holds
        """Read it.

        Raises:
            NotFoundError: There is no such secret where the task runs.
        """
        wanted = needed(self, "name", name, self.secret_name)
        return _hide(read_secret(wanted), _reread, wanted)


class EnvVarSecret(Task):
    """Read a secret from an environment variable.

    Args:
        name: The variable.
        cast: Turns the text into another value: a text, number, list or dict, or bytes.
        raise_if_missing: Fail when it is not set, instead of returning None.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        name: str | None = None,
        cast: Callable[[str], Any] | None = None,
        raise_if_missing: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's order
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.secret_name = name
        self.cast = cast
        self.raise_if_missing = raise_if_missing
        super().__init__(name=name, **options)

    def run(self, name: str | None = None) -> Any:  # noqa: ANN401 - as cast makes it
        """Read it.

        Raises:
            NotFoundError: It is not set, and that matters.
            InvalidInputError: ``cast`` made a value that cannot be kept secret.
        """
        wanted = needed(self, "name", name, self.secret_name)
        if wanted not in os.environ:
            if self.raise_if_missing:
                msg = f"The environment variable {wanted} is not set where the task runs."
                raise NotFoundError(msg)
            return None
        return _read_variable(wanted, self.cast)


def read_secret(name: str) -> Any:  # noqa: ANN401 - what it holds
    """Find a secret; see ``SecretTask``.

    Raises:
        NotFoundError: There is none of this name here.
    """
    given = context.get("secrets") or {}
    if name in given:
        return given[name]
    for prefix in _PREFIXES:
        for variable in (prefix + name, prefix + name.upper()):
            if variable in os.environ:
                return _parse(os.environ[variable])
    try:
        return _parse(get_recorder().backend.call(GetSecret(name=name)).value)
    except NotFoundError:
        msg = (
            f"There is no secret {name!r} here. Keep it with `loopline secrets set {name}`, or set "
            f"the environment variable {_PREFIXES[0]}{name.upper()} where the task runs."
        )
        raise NotFoundError(msg) from None


def _parse(text: str) -> Any:  # noqa: ANN401 - what it says
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reread(name: str) -> Any:  # noqa: ANN401 - as above
    return _hide(read_secret(name), _reread, name)


def _read_variable(name: str, cast: Callable[[str], Any] | None) -> Any:  # noqa: ANN401 - as cast makes it
    if name not in os.environ:
        msg = f"The environment variable {name}, a secret of this flow, is not set here."
        raise NotFoundError(msg)
    value = os.environ[name]
    return _hide(value if cast is None else cast(value), _read_variable, name, cast)


def _hide(value: object, *way: Any) -> Any:  # noqa: ANN401 - the value, hidden
    if value is None or isinstance(value, bool):
        return value
    kind = _KINDS.get(type(value))
    if kind is None:
        msg = (
            f"A {type(value).__name__} cannot be kept secret as a task's result. Let the secret be "
            "a text, bytes, a number, a list or a dict, and make the rest in the task that uses it."
        )
        raise InvalidInputError(msg)
    hidden = kind(value)
    hidden._way = (way[0], tuple(way[1:]))  # noqa: SLF001 - made here
    return hidden
