"""Which metrics and params a table of runs shows, in the shell, a notebook and the pages alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["frequent_keys"]

#: Metrics that nobody logged: how busy the machine was.
_SYSTEM = "system/"


def frequent_keys(groups: Iterable[Iterable[str]], most: int) -> list[str]:
    """Pick the keys that most of the runs have, in alphabetical order.

    Those of system metrics are picked where the runs have no others: every run has dozens.

    Args:
        groups: The keys of each run.
        most: At most so many are picked.
    """
    counts = Counter(key for group in groups for key in group)
    own = [key for key in counts if not key.startswith(_SYSTEM)]
    return sorted(sorted(own or counts, key=lambda key: (-counts[key], key))[:most])
