"""Secrets: passwords and keys that code asks for by name, and nothing records.

``Secret("SLACK_WEBHOOK_URL").get()`` looks, in this order, at ``context.secrets`` of a ``with
context(secrets=...)`` block, at the variable ``LOOPLINE__CONTEXT__SECRETS__SLACK_WEBHOOK_URL``
of the environment, at what ``use_store`` plugged in, and in the store that is recorded to, where
`loopline secrets set` keeps them. What was got is hidden from then on in whatever this process
records.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from loopline.errors import NotFoundError
from loopline.flows.context import run_values
from loopline.flows.result_types import SecretResult
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EnvVarSecret", "PrefectSecret", "Secret", "SecretBase", "local_secrets", "use_store"]

_PREFIX = "LOOPLINE__CONTEXT__SECRETS__"

#: Looks a name up in a store of secrets; raises ``KeyError`` when it is not there.
_store: list[Callable[[str], Any]] = []


def use_store(look_up: Callable[[str], Any]) -> None:
    """Look secrets that are not in context or environment up with this function.

    It returns the secret, and raises ``KeyError`` when there is none of that name.
    """
    _store[:] = [look_up]


def local_secrets() -> dict[str, Any]:
    """Return the secrets of the environment; a value that is JSON is read as such."""
    return {
        name.removeprefix(_PREFIX): _parse(value)
        for name, value in os.environ.items()
        if name.startswith(_PREFIX)
    }


def _parse(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        return text


def _hide(value: Any) -> None:  # noqa: ANN401 - text, or what JSON says
    """Let no text of a secret be recorded."""
    from loopline.backend.masking import never_record

    if isinstance(value, str):
        never_record(value)
    elif isinstance(value, dict):
        for each in value.values():
            _hide(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _hide(each)


class Secret:
    """A secret, by name; nothing of it is read before ``get``.

    Args:
        name: Its name, such as ``"SLACK_WEBHOOK_URL"``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Any:  # noqa: ANN401 - text, or what JSON says
        """Return the secret.

        Raises:
            NotFoundError: There is none of this name.
        """
        value = self._look_up()
        _hide(value)
        return value

    def _look_up(self) -> Any:  # noqa: ANN401 - as get
        given = run_values.get().get("secrets")
        if given is not None and self.name in given:
            return given[self.name]
        text = os.environ.get(_PREFIX + self.name)
        if text is not None:
            return _parse(text)
        for look_up in _store:
            try:
                return look_up(self.name)
            except KeyError:
                pass
        from loopline.backend.masking import fetch_secret
        from loopline.backend.recorder import get_recorder

        try:
            return _parse(fetch_secret(get_recorder().backend, self.name))
        except NotFoundError as error:
            msg = (
                f"No secret {self.name!r}. Keep one with `loopline secrets set {self.name}`, or "
                f"set the environment variable {_PREFIX}{self.name}."
            )
            raise NotFoundError(msg) from error

    def exists(self) -> bool:
        """Tell whether there is one of this name."""
        try:
            self.get()
        except NotFoundError:
            return False
        return True

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


class SecretBase(Task):
    """Base of tasks whose result is a secret: it is handed on, and never kept."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as Task
        super().__init__(**options)
        self.checkpoint = False
        self.result = SecretResult(self)


class PrefectSecret(SecretBase):
    """Gives a secret to other tasks: ``connect(PrefectSecret("DATABASE"))``.

    A flow run that another worker takes over reads it anew.

    Args:
        name: The secret's name.
        **options: As for any task.
    """

    def __init__(self, name: str | None = None, **options: Any) -> None:  # noqa: ANN401 - as Task
        self.secret_name = name
        super().__init__(name=name, **options)

    def run(self, name: str | None = None) -> Any:  # noqa: ANN401 - as the secret
        """Return the secret.

        Raises:
            NotFoundError: There is none of this name.
        """
        return Secret(name or self.secret_name or "").get()


class EnvVarSecret(SecretBase):
    """Gives a variable of the environment where the task runs to other tasks.

    Args:
        name: The variable's name.
        cast: Turns the text into something else.
        raise_if_missing: Fail when it is not set; otherwise it is None.
        **options: As for any task.
    """

    def __init__(
        self,
        name: str | None = None,
        cast: Callable[[str], Any] | None = None,
        raise_if_missing: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        **options: Any,  # noqa: ANN401 - as Task
    ) -> None:
        self.env_var = name
        self.cast = cast
        self.raise_if_missing = raise_if_missing
        super().__init__(name=name, **options)

    def run(self, name: str | None = None) -> Any:  # noqa: ANN401 - as cast
        """Return the variable's value.

        Raises:
            NotFoundError: It is not set, and must be.
        """
        wanted = name or self.env_var or ""
        text = os.environ.get(wanted)
        if text is None:
            if self.raise_if_missing:
                msg = f"The environment variable {wanted!r} is not set where this task runs."
                raise NotFoundError(msg)
            return None
        return text if self.cast is None else self.cast(text)
