"""Filters over registered models and their versions: the language of run filters, other fields.

What can be compared and ordered by is what MLflow's registry takes, and no more: a filter that
works here works against MLflow, but for OR, NOT and parentheses.
"""

from __future__ import annotations

from typing import ClassVar

from loopline.errors import FilterError, InvalidInputError
from loopline.rules.filters import (
    NUMBER_OPERATORS,
    Comparison,
    Field,
    Node,
    OrderBy,
    Parser,
    parse,
    parse_order_by,
)

__all__ = [
    "parse_model_filter",
    "parse_model_order",
    "parse_version_filter",
    "parse_version_order",
]

NUMBERS = ("version_number", "creation_timestamp", "last_updated_timestamp")


class _RegistryField(Field, frozen=True, kw_only=True):
    """A field of a registered model or of a version."""

    @property
    def is_number(self) -> bool:
        """Whether it is compared with numbers."""
        return self.entity == "attribute" and self.key in NUMBERS


class _RegistryParser(Parser):
    """Knows some attributes, and tags.

    Attributes:
        NAMES: Attribute names and what they mean.
    """

    NAMES: ClassVar[dict[str, str]] = {}

    def field(self) -> Field:
        """Parse what is compared."""
        at = self.position
        field = super().field()
        if field.entity not in {"attribute", "tag"}:
            raise FilterError(self.text, at, self._known())
        return field

    def attribute(self, name: str, position: int) -> Field:
        """Make the field of an attribute."""
        key = self.NAMES.get(name)
        if key is None:
            raise FilterError(self.text, position, self._known())
        return _RegistryField(entity="attribute", key=key)

    def _known(self) -> str:
        return f"tags.… or an attribute ({', '.join(self.NAMES)})"

    def _compared(self, field: Field, operator: str) -> Comparison:
        """Parse what a field is compared with; the number of a version may stand in quotes."""
        if not field.is_number or operator not in NUMBER_OPERATORS:
            return super()._compared(field, operator)
        token = self._next()
        text = token.text[1:-1] if token.kind == "string" else token.text
        try:
            number = int(text)
        except ValueError:
            raise self._fail("a whole number", token) from None
        return Comparison(field=field, operator=operator, value=number)


class _OrderParser(_RegistryParser):
    """Knows attributes alone."""

    def field(self) -> Field:
        """Parse what is ordered by."""
        at = self.position
        field = super().field()
        if field.entity != "attribute":
            raise FilterError(self.text, at, self._known())
        return field

    def _known(self) -> str:
        return f"an attribute to order by ({', '.join(self.NAMES)})"


class _ModelParser(_RegistryParser):
    NAMES: ClassVar[dict[str, str]] = {"name": "name"}


class _ModelOrderParser(_OrderParser):
    NAMES: ClassVar[dict[str, str]] = {
        "name": "name",
        "timestamp": "last_updated_timestamp",
        "last_updated_timestamp": "last_updated_timestamp",
    }


class _VersionParser(_RegistryParser):
    NAMES: ClassVar[dict[str, str]] = {
        "name": "name",
        "version_number": "version_number",
        "run_id": "run_id",
        "source_path": "source_path",
    }


class _VersionOrderParser(_OrderParser):
    NAMES: ClassVar[dict[str, str]] = {
        "name": "name",
        "version_number": "version_number",
        "creation_timestamp": "creation_timestamp",
        "last_updated_timestamp": "last_updated_timestamp",
    }


_BY_NAME = OrderBy(field=_RegistryField(entity="attribute", key="name"))
_NEWEST_CHANGE, _HIGHEST = (
    OrderBy(field=_RegistryField(entity="attribute", key=key), descending=True)
    for key in ("last_updated_timestamp", "version_number")
)


def parse_model_filter(text: str) -> Node | None:
    """Parse a filter over models; an empty one is None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return parse(text, _ModelParser)


def parse_version_filter(text: str) -> Node | None:
    """Parse a filter over versions; an empty one is None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return parse(text, _VersionParser)


def parse_model_order(texts: list[str]) -> list[OrderBy]:
    """Parse an order of models, made total: then by name.

    Raises:
        FilterError: A key is none.
        InvalidInputError: A key stands twice.
    """
    return _total(texts, _ModelOrderParser, [_BY_NAME])


def parse_version_order(texts: list[str]) -> list[OrderBy]:
    """Parse an order of versions, made total: then by name, then the highest number first.

    Without any it is the newest change that comes first.

    Raises:
        FilterError: A key is none.
        InvalidInputError: A key stands twice.
    """
    last = [_BY_NAME, _HIGHEST]
    return _total(texts, _VersionOrderParser, last if texts else [_NEWEST_CHANGE, *last])


def _total(texts: list[str], parser: type[Parser], last: list[OrderBy]) -> list[OrderBy]:
    orders = [parse_order_by(text, parser) for text in texts]
    keys = [order.field.key for order in orders]
    if len(set(keys)) < len(keys):
        msg = f"The same key stands twice in order_by: {', '.join(texts)}. Take one out."
        raise InvalidInputError(msg)
    return [*orders, *(order for order in last if order.field.key not in keys)]
