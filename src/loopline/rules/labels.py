"""Labels: short words on flows and workers that say which worker may take which flow run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_labels"]

MOST, LONGEST = 50, 100


def check_labels(labels: Iterable[str]) -> list[str]:
    """Return labels sorted, each once.

    Raises:
        InvalidInputError: There are too many, or one is no word.
    """
    found = sorted(set(labels))
    if len(found) > MOST:
        msg = f"{len(found)} labels are too many: give at most {MOST}."
        raise InvalidInputError(msg)
    for label in found:
        fits = label.isprintable() and not any(each.isspace() or each == "," for each in label)
        if not label or len(label) > LONGEST or not fits:
            msg = (
                f"{label[:LONGEST]!r} is no label: a label is a word of 1 to {LONGEST} characters "
                'without spaces and commas, such as "gpu".'
            )
            raise InvalidInputError(msg)
    return found
