"""``prefect.config``: settings by attribute; those that mean something here are read.

Loopline has few settings, all environment variables (``LOOPLINE_URI``, ``LOOPLINE_HOME``, …). What
a program keeps for itself in Prefect's way, ``PREFECT__SECTION__KEY`` in the environment or
``LOOPLINE__SECTION__KEY``, is here as well: ``config.section.key``.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.utilities.collections import DotDict, as_nested_dict, merge_dicts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Config", "config", "set_temporary_config", "string_to_type"]

__getattr__ = refusing(__name__)

_PREFIXES = ("PREFECT__", "LOOPLINE__")
#: Never shown by a look at the settings: they are for ``Secret``.
_HIDDEN = ("context", "secrets")


class Config(DotDict):
    """Settings, by attribute and by key; sections that nobody has set are empty."""

    def get_nested(self, key: str, default: Any = None) -> Any:
        """Get a setting by its path with dots."""
        place: Any = self
        for step in key.split("."):
            if not isinstance(place, DotDict) or step not in place:
                return default
            place = place[step]
        return place


def string_to_type(val: str) -> Any:
    """Read a setting: a truth value, a number, or the text itself."""
    words = {"true": True, "false": False}
    if val.lower() in words:
        return words[val.lower()]
    for kind in (int, float):
        try:
            return kind(val)
        except ValueError:
            continue
    return val


def _load() -> Config:
    found = Config(
        {
            "debug": False,
            "flows": DotDict(checkpointing=True, run_on_schedule=True),
            "logging": DotDict(level="INFO"),
            "tasks": DotDict(defaults=DotDict(max_retries=0)),
            "backend": "server",
        }
    )
    for name, value in os.environ.items():
        prefix = next((each for each in _PREFIXES if name.startswith(each)), "")
        path = name.removeprefix(prefix).lower().split("__") if prefix else []
        if len(path) < 2 or tuple(path[:2]) == _HIDDEN:  # noqa: PLR2004 - section and key
            continue
        place: Any = found
        for step in path[:-1]:
            if not isinstance(place.get(step), DotDict):
                place[step] = DotDict()
            place = place[step]
        place[path[-1]] = string_to_type(value)
    return found


config = _load()


@contextmanager
def set_temporary_config(temp_config: dict[str, Any]) -> Iterator[Config]:
    """Change settings while the block runs; keys are paths with dots, or nested dicts."""
    before = config.copy()
    try:
        for key, value in temp_config.items():
            nested: Any = value
            for step in reversed(key.split(".")):
                nested = DotDict({step: nested})
            merged = merge_dicts(config, as_nested_dict(nested, DotDict))
            config.clear()
            config.update(merged)
        yield config
    finally:
        config.clear()
        config.update(before)
