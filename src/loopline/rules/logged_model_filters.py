"""Filters over logged models: the language of run filters, other attributes."""

from __future__ import annotations

from loopline.errors import FilterError, InvalidInputError
from loopline.rules.filters import Comparison, Field, Node, Parser, parse

__all__ = ["parse_logged_model_filter", "parse_logged_model_order"]

NUMBERS = ("creation_timestamp", "last_updated_timestamp")
#: Attribute names and what they mean here.
NAMES = {
    "name": "name",
    "model_name": "name",
    "model_id": "model_id",
    "model_type": "model_type",
    "status": "status",
    "source_run_id": "source_run_id",
    "experiment_id": "experiment_id",
    "creation_timestamp": "creation_timestamp",
    "creation_time": "creation_timestamp",
    "creation_timestamp_ms": "creation_timestamp",
    "last_updated_timestamp": "last_updated_timestamp",
    "last_updated_time": "last_updated_timestamp",
    "last_updated_timestamp_ms": "last_updated_timestamp",
}
_KNOWN = "name, model_id, model_type, status, source_run_id, creation_timestamp"
#: Before a status, as MLflow's protocol writes it.
_STATUS = "LOGGED_MODEL_"


class _LoggedModelField(Field, frozen=True, kw_only=True):
    """A field of a logged model."""

    @property
    def is_number(self) -> bool:
        """Whether it is compared with numbers."""
        return self.entity == "metric" or (self.entity == "attribute" and self.key in NUMBERS)


class _Parser(Parser):
    """Knows the attributes of logged models, and their params, tags and metrics."""

    def field(self) -> Field:
        """Parse what is compared."""
        at = self.position
        field = super().field()
        if field.entity not in {"attribute", "param", "tag", "metric"}:
            raise FilterError(self.text, at, "metrics.…, params.…, tags.… or an attribute")
        if field.summary != "last":
            # Each point is compared, so there is no summary; the end of the key looks like one.
            return _LoggedModelField(entity=field.entity, key=f"{field.key}.{field.summary}")
        return field

    def attribute(self, name: str, position: int) -> Field:
        """Make the field of an attribute."""
        key = NAMES.get(name)
        if key is None:
            expected = f"metrics.…, params.…, tags.… or an attribute ({_KNOWN})"
            raise FilterError(self.text, position, expected)
        return _LoggedModelField(entity="attribute", key=key)

    def _compared(self, field: Field, operator: str) -> Comparison:
        node = super()._compared(field, operator)
        if field.entity != "attribute" or field.key != "status":
            return node
        value = node.value
        if isinstance(value, list):
            value = [_status(each) for each in value]
        elif isinstance(value, str):
            value = _status(value)
        return Comparison(field=field, operator=operator, value=value)


def _status(text: str) -> str:
    name = text.upper().removeprefix(_STATUS)
    return {"UPLOAD_FAILED": "FAILED"}.get(name, name)


def parse_logged_model_filter(text: str) -> Node | None:
    """Parse a filter; an empty one is None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    return parse(text, _Parser)


def parse_logged_model_order(texts: list[str]) -> list[Field]:
    """Parse fields to order by.

    Raises:
        FilterError: One is none.
        InvalidInputError: One stands twice.
    """
    fields = []
    for text in texts:
        parser = _Parser(text)
        fields.append(parser.field())
        parser.expect_end("the end: whether it ascends is said apart")
    if len({(field.entity, field.key) for field in fields}) < len(fields):
        msg = f"The same key stands twice in order_by: {', '.join(texts)[:500]}. Take one out."
        raise InvalidInputError(msg)
    return fields
