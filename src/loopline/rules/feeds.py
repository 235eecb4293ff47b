"""Feeds as rules: which can be exact, what may arrive, and what differs between two arrivals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.records.feeds import Arrival, FeedSpec

__all__ = [
    "RULES",
    "changes_of_columns",
    "check_arrival",
    "check_contract",
    "check_feed",
    "check_hash",
    "later_of",
]

#: A place in the order of a feed.
Place = int | float | str

LONGEST_NAME = 200
_NAME = re.compile(r"[\w][\w .:@+-]*\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
MOST_ROWS = 1 << 62

#: What a contract may say of a column.
RULES = ("not_null", "min", "max", "allowed", "unique", "matches")


def check_feed(name: str, spec: FeedSpec) -> None:
    """Check that new rows of a feed can be told exactly.

    Raises:
        InvalidInputError: They cannot, or a part of it is no name.
    """
    if len(name) > LONGEST_NAME or not _NAME.match(name):
        msg = (
            f"{name[:80]!r} is no name for a feed. Take letters, digits, spaces and . _ - : @ +, "
            f"{LONGEST_NAME} at most."
        )
        raise InvalidInputError(msg)
    if not spec.source or not spec.table:
        msg = "A feed has a source and a table. Make it with loopline.Feed(name, source=...)."
        raise InvalidInputError(msg)
    if not (spec.own or spec.key or spec.ingested_at):
        msg = (
            f"The feed {name!r} cannot be exact: nothing says which rows of {spec.table!r} are "
            f"new. By {spec.order_by or 'their order'!r} alone, a row that comes late would never "
            "be seen as new. Declare key=[...] (columns that tell a row from all others) or "
            "ingested_at=... (when it came into the table), or let the feed own its rows: "
            f"loopline.Feed({name!r}).append(rows)."
        )
        raise InvalidInputError(msg)
    if not 0 <= spec.max_gap_s < MOST_ROWS:
        msg = "max_gap_s is 0 or a number of seconds."
        raise InvalidInputError(msg)
    check_contract(spec.contract)


def check_contract(contract: Mapping[str, Mapping[str, object]]) -> None:
    """Check that a contract's rules are ones there are.

    Raises:
        InvalidInputError: They are not.
    """
    for column, rules in contract.items():
        for rule, value in rules.items():
            if rule not in RULES:
                msg = f"Column {column!r}: a contract knows {', '.join(RULES)}, not {rule!r}."
                raise InvalidInputError(msg)
            if rule in {"not_null", "unique"} and not isinstance(value, bool):
                msg = f"Column {column!r}: {rule} is true or false."
                raise InvalidInputError(msg)
            if rule == "allowed" and not (isinstance(value, list) and value):
                msg = f"Column {column!r}: allowed is a list of values."
                raise InvalidInputError(msg)


def check_arrival(arrival: Arrival) -> None:
    """Check the numbers of an arrival.

    Raises:
        InvalidInputError: They cannot be.
    """
    counts = (arrival.late, arrival.duplicates, arrival.without_place)
    if not (0 <= arrival.first < MOST_ROWS and 0 < arrival.rows < MOST_ROWS) or min(counts) < 0:
        msg = "An arrival has one row or more, and counts none below 0."
        raise InvalidInputError(msg)
    check_hash("keys of an arrival", arrival.keys)
    if "\0" in arrival.flow_run_id:
        msg = "The id of a flow run has no NUL."
        raise InvalidInputError(msg)


def check_hash(what: str, text: str) -> None:
    """Check that a text is a hash, or empty.

    Raises:
        InvalidInputError: It is neither.
    """
    if text and not _HASH.match(text):
        msg = f"The {what} go by a SHA-256, 64 digits in hex, not by {text[:80]!r}."
        raise InvalidInputError(msg)


def later_of(one: Place | None, other: Place | None) -> Place | None:
    """Tell which place comes later in the order of a feed; None: neither is one.

    Raises:
        InvalidInputError: One is text and the other a number.
    """
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, str) != isinstance(other, str):
        msg = f"{one!r} and {other!r} are not places in the same order."
        raise InvalidInputError(msg)
    return max(one, other)  # Both are text or both numbers.


def changes_of_columns(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Say what differs between the columns of two arrivals; nothing before the first."""
    if not before:
        return []
    said = [
        f"column {name}: was {kind}, came as {after[name]}"
        for name, kind in before.items()
        if name in after and after[name] != kind
    ]
    said += [
        f"column {name}: is gone (it was {before[name]})" for name in before if name not in after
    ]
    said += [f"column {name}: is new ({after[name]})" for name in after if name not in before]
    return said
