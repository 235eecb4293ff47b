"""Preprocessing as tags: what a run used, and how searches find it.

A run may use several functions and steps, and a tag has one value. So what may stand many times
is in the key, and finding it is finding the key:

::

    loopline.preprocessing.function.clean_trips                   digest of its source
    loopline.preprocessing.step.StandardScaler                    where it stands
    loopline.preprocessing.step.StandardScaler.with_mean          "True"
    loopline.preprocessing.digest.<64 hex digits>                 what has this digest

A key that has several values in one run (two scalers, set differently) has them under ``key``,
``key:2``, ``key:3`` ...; searches look at all of them.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from loopline.rules.names import MAX_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.records.preprocessing import Preprocessing

__all__ = ["KINDS", "VARIANTS", "attributes_of", "tag_key", "variants"]

PREFIX = "loopline.preprocessing."
#: What can be asked for: ``preprocessing.function = 'clean_trips'``.
KINDS = ("function", "step", "digest")
#: Values that one key may have in one run and be found by; more are in the artifact only.
VARIANTS = 4
#: A longer value is found by its hash; it stands in the artifact as it is.
MAX_VALUE = 500


def tag_key(name: str) -> str:
    """Tell the tag of an attribute such as ``step.StandardScaler.with_mean``."""
    # What a key cannot hold (`make.<locals>.clean`) would only stand in the way.
    clean = re.sub(r"[^\w\-. :]", "", name.replace("<locals>.", ""))
    return (PREFIX + clean)[:MAX_KEY]


def variants(name: str) -> list[str]:
    """List the tags that may hold an attribute's values."""
    key = tag_key(name)
    return [key, *(f"{key}:{number}" for number in range(2, VARIANTS + 1))]


def attributes_of(found: Preprocessing) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a piece of preprocessing with their values; names may repeat."""
    if found.source:
        yield f"function.{found.name}", found.digest
    kinds = ", ".join(dict.fromkeys(step.kind for step in found.steps))
    yield f"digest.{found.digest}", _short(kinds or found.name)
    for step in found.steps:
        yield f"step.{step.kind}", _short(step.path or step.kind)
        if step.digest:
            yield f"digest.{step.digest}", step.kind
        for name, value in step.params.items():
            yield f"step.{step.kind}.{name}", _short(value)


def _short(value: str) -> str:
    """Keep a value, or its hash when it is too long for a tag; it is never cut."""
    return value if len(value) <= MAX_VALUE else f"sha256:{sha256(value.encode()).hexdigest()}"
