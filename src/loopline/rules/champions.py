"""Which version was a stage's champion before the one that is: where a rollback goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["champion_before"]


def champion_before(champion: int, held: Iterable[int]) -> int | None:
    """Tell which version to go back to; None: there is none.

    A version that came back is where the story went on: those in between were given up, so that
    going back twice goes back further, and not forth again.

    Args:
        champion: The version that is there now.
        held: Versions in the order in which they came to the stage.
    """
    line: list[int] = []
    for version in held:
        if version in line:
            del line[line.index(version) + 1 :]
        else:
            line.append(version)
    if champion in line:
        del line[line.index(champion) :]
    return line[-1] if line else None
