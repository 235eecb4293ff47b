"""Masking: secrets of this process are hidden in what it records, before it is on any disk.

Known are the values of environment variables that are named like secrets, and those that were got
from the store. They may turn up anywhere: in a param that repeats the command line, in what a task
prints, in the message of an exception. What tells by its look that it is a token is hidden in
texts for people, too, and so are params that are named like passwords.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from loopline.records.facts import (
    FlowRunState,
    LogsWritten,
    ParamsLogged,
    RunEnded,
    RunStarted,
    TagsSet,
    TaskRunState,
)
from loopline.records.secrets import GetSecret
from loopline.rules.redaction import HIDDEN, Redactor
from loopline.rules.secrets import is_secret, is_secret_name, is_weak_name, looks_random, secrets_in

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact

__all__ = ["fetch_secret", "masked", "never_record"]

F = TypeVar("F", bound="Fact")

#: Seconds for which the environment is taken to be what it was.
FRESH_S = 5.0
#: A value shorter than this is not looked for: hiding every "ja" would say nothing and hide much.
SHORTEST = 6

# Without a lock, which a fork could leave locked: each of these is replaced at once.
_fetched: set[str] = set()
_redactor = Redactor()
_known: frozenset[str] = frozenset()
_looked_at = float("-inf")


def fetch_secret(backend: Backend, name: str) -> str:
    """Get a secret from the store; from now on it is hidden in what this process records.

    Raises:
        NotFoundError: There is none of that name.
        ConflictError: The key that it was sealed with is not where the store is.
    """
    value = backend.call(GetSecret(name=name)).value
    never_record(value)
    return value


def never_record(value: str) -> None:
    """Hide a value in whatever this process records from now on; one of several lines, each."""
    global _looked_at  # noqa: PLW0603 - one a process
    lines = {line.strip() for line in value.splitlines()}
    _fetched.update([text for text in (value, *lines) if len(text) >= SHORTEST])
    _looked_at = float("-inf")


def masked(fact: F) -> F:
    """Hide secrets in the texts of a fact; the fact itself, where there are none."""
    match fact:
        case LogsWritten(lines=lines):
            hide = _current().line
            kept = [hide(line.message) for line in lines]
            if any(text != line.message for text, line in zip(kept, lines, strict=True)):
                pairs = zip(lines, kept, strict=True)
                return replace(fact, lines=[replace(line, message=text) for line, text in pairs])
        case ParamsLogged(params=params):
            texts = {key: _param(key, value) for key, value in params.items()}
            return fact if texts == params else replace(fact, params=texts)
        case TagsSet(tags=tags) | RunStarted(tags=tags):
            texts = {key: _current().known(value) for key, value in tags.items()}
            return fact if texts == tags else replace(fact, tags=texts)
        case TaskRunState(message=said) | FlowRunState(message=said) if said:
            text = _current().line(said)
            return fact if text == said else replace(fact, message=text)
        case RunEnded(reason=said) if said:
            text = _current().line(said)
            return fact if text == said else replace(fact, reason=text)
        case _:
            pass
    return fact


def _param(key: str, value: str) -> str:
    """Hide a param's value that is one by its name; a weak name, such as "sort_key", needs more."""
    named = is_secret_name(key) and is_secret(key, value)
    if named and (not is_weak_name(key) or looks_random(value)):
        return HIDDEN
    return _current().known(value)


def _current() -> Redactor:
    """Know the secrets of the environment as it is now, give or take a few seconds."""
    global _redactor, _known, _looked_at  # noqa: PLW0603 - one a process
    now = time.monotonic()
    if now - _looked_at > FRESH_S:
        _looked_at = now
        known = frozenset(secrets_in(os.environ) | _fetched)
        if known != _known:
            _known, _redactor = known, Redactor(known)
    return _redactor
