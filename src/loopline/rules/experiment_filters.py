"""Filters over experiments: the language of run filters, evaluated on records.

Experiments are few where runs are many, so they are matched one by one, which is the same on
every database. LIKE is case-sensitive, as it is for runs; ``%`` and ``_`` are its wildcards.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

from loopline.errors import FilterError, InvalidInputError
from loopline.rules.filters import And, Comparison, Field, Node, Not, Or, Parser, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.records.tracking import Experiment

__all__ = ["matches", "ordered", "parse_experiment_filter"]

#: Attribute names and what they mean here.
NAMES = {
    "name": "name",
    "experiment_name": "name",
    "experiment_id": "experiment_id",
    "id": "experiment_id",
    "creation_time": "created_ms",
    "created": "created_ms",
    "last_update_time": "updated_ms",
    "updated": "updated_ms",
}
NUMBERS = ("created_ms", "updated_ms")


def _like(text: str, pattern: str) -> bool:
    parts = ({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda value, values: value in values,
    "NOT IN": lambda value, values: value not in values,
    "LIKE": _like,
    "ILIKE": lambda value, pattern: _like(value.lower(), pattern.lower()),
}


class _ExperimentField(Field, frozen=True, kw_only=True):
    """A field of an experiment."""

    @property
    def is_number(self) -> bool:
        """Whether it is compared with numbers."""
        return self.entity == "attribute" and self.key in NUMBERS


class _Parser(Parser):
    """Knows the attributes of experiments instead of those of runs."""

    def field(self) -> Field:
        """Parse what is compared."""
        at = self.position
        field = super().field()
        if field.entity not in {"attribute", "tag"}:
            raise FilterError(self.text, at, "an attribute or tags.…: experiments have no more")
        return field

    def attribute(self, name: str, position: int) -> Field:
        """Make the field of an attribute."""
        key = NAMES.get(name)
        if key is None:
            known = "name, experiment_id, creation_time, last_update_time"
            raise FilterError(self.text, position, f"tags.… or an attribute ({known})")
        return _ExperimentField(entity="attribute", key=key)


def parse_experiment_filter(text: str) -> Node | None:
    """Parse a filter; an empty one is None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return parse(text, _Parser)


def matches(node: Node | None, experiment: Experiment) -> bool:
    """Tell whether a filter holds for an experiment."""
    match node:
        case None:
            return True
        case And():
            return all(matches(part, experiment) for part in node.parts)
        case Or():
            return any(matches(part, experiment) for part in node.parts)
        case Not():
            return not matches(node.part, experiment)
        case Comparison():
            return _holds(node, experiment)


def ordered(experiments: Iterable[Experiment], order_by: list[str]) -> list[Experiment]:
    """Sort experiments: by the keys given, then newest change first, then highest id.

    Raises:
        FilterError: A key is none.
        InvalidInputError: A key stands twice.
    """
    found = sorted(
        experiments, key=lambda one: (one.updated_ms, int(one.experiment_id)), reverse=True
    )
    keys = [_order(text) for text in order_by]
    if len({key for key, _ in keys}) < len(keys):
        msg = f"The same key stands twice in order_by: {', '.join(order_by)}. Take one out."
        raise InvalidInputError(msg)
    for (entity, key), descending in reversed(keys):
        missing = [one for one in found if _value(entity, key, one) is None]
        known = [one for one in found if _value(entity, key, one) is not None]
        known.sort(key=lambda one: _sortable(entity, key, one), reverse=descending)
        found = known + missing
    return found


def _order(text: str) -> tuple[tuple[str, str], bool]:
    parser = _Parser(text)
    field = parser.field()
    descending = parser.take_word("ASC", "DESC") == "DESC"
    parser.expect_end("ASC, DESC or the end")
    return (field.entity, field.key), descending


def _value(entity: str, key: str, experiment: Experiment) -> Any:  # noqa: ANN401
    if entity == "tag":
        return experiment.tags.get(key)
    return getattr(experiment, key)


def _sortable(entity: str, key: str, experiment: Experiment) -> Any:  # noqa: ANN401
    value = _value(entity, key, experiment)
    # An id is a number in decimal digits: "10" comes after "9".
    return int(value) if entity == "attribute" and key == "experiment_id" else value


def _holds(node: Comparison, experiment: Experiment) -> bool:
    value = _value(node.field.entity, node.field.key, experiment)
    if node.operator == "IS NULL":
        return value is None
    if node.operator == "IS NOT NULL":
        return value is not None
    return value is not None and _COMPARE[node.operator](value, node.value)
