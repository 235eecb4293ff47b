"""Rows from JSON at the speed of the parser: types are checked while the bytes are read.

Takes requests whose columns are numbers, booleans and text in the signature's types. Whatever else
a request may be, ``plain`` reads it, slower; so nothing here decides what is an error.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.models.schema import Column, Schema

__all__ = ["Envelope", "RowReader"]

_UNSET = msgspec.UNSET

#: What each column type is in JSON. Decimals may be empty: that is NaN.
_TYPES: dict[str, Any] = {
    "boolean": bool,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    "long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "float": float | None,
    "double": float | None,
    "string": str,
}

#: Orders of columns that are remembered; clients send the same again and again.
_MOST_ORDERS = 64


class Envelope(msgspec.Struct):
    """The body of a request: one kind of data, and parameters."""

    dataframe_split: msgspec.Raw | msgspec.UnsetType = _UNSET
    dataframe_records: msgspec.Raw | msgspec.UnsetType = _UNSET
    instances: msgspec.Raw | msgspec.UnsetType = _UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = _UNSET
    params: dict[str, Any] | msgspec.UnsetType = _UNSET


class _Split(msgspec.Struct):
    data: msgspec.Raw
    columns: list[str]


_envelope = msgspec.json.Decoder(Envelope)
_split = msgspec.json.Decoder(_Split)


class RowReader:
    """Reads the rows of a table by its schema.

    Attributes:
        numbers: NumPy's name of the one type that all columns have; empty when they differ.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.names = [str(column.name) for column in columns]
        self._types = [_TYPES[column.type] for column in columns]
        kinds = {column.type for column in columns}
        self.numbers = {"double": "float64", "float": "float32", "long": "int64"}.get(
            next(iter(kinds)) if len(kinds) == 1 else "", ""
        )
        fields = [(f"f{at}", kind) for at, kind in enumerate(self._types)]
        rename = {f"f{at}": name for at, name in enumerate(self.names)}
        row = msgspec.defstruct("Row", fields, rename=rename)
        self._records = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        lists = [(f"f{at}", list[kind]) for at, kind in enumerate(self._types)]  # type: ignore[valid-type]
        self._columns = msgspec.json.Decoder(msgspec.defstruct("Columns", lists, rename=rename))
        self._orders: dict[tuple[str, ...], Callable[[msgspec.Raw], list[tuple[Any, ...]]]] = {}

    @classmethod
    def of(cls, schema: Schema | None) -> RowReader | None:
        """Make the reader of a schema; None: it has types that are read the slow way."""
        columns = () if schema is None else schema.columns
        simple = all(
            isinstance(column.name, str)
            and column.type in _TYPES
            # pandas has its own ways with empty values of these.
            and (column.required or column.type in {"double", "float"})
            for column in columns
        )
        names = {column.name for column in columns}
        return cls(columns) if columns and simple and len(names) == len(columns) else None

    def read(self, body: bytes) -> tuple[list[tuple[Any, ...]], dict[str, Any]] | None:
        """Read rows, in the schema's order of columns, and parameters; None: not this way."""
        try:
            envelope = _envelope.decode(body)
            if envelope.dataframe_records is not _UNSET:
                return self._only(envelope, "dataframe_records")
            if envelope.dataframe_split is not _UNSET:
                return self._only(envelope, "dataframe_split")
            if envelope.instances is not _UNSET:
                return self._only(envelope, "instances")
            if envelope.inputs is not _UNSET:
                return self._only(envelope, "inputs")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None

    def _only(
        self, envelope: Envelope, name: str
    ) -> tuple[list[tuple[Any, ...]], dict[str, Any]] | None:
        """Read the one kind of data there is."""
        kinds = (
            envelope.dataframe_split, envelope.dataframe_records, envelope.instances,
            envelope.inputs,
        )  # fmt: skip
        if kinds.count(_UNSET) != len(kinds) - 1:
            return None
        raw: msgspec.Raw = getattr(envelope, name)
        if name == "dataframe_split":
            rows = self._split(raw)
        elif bytes(memoryview(raw)[:1]) == b"{":
            rows = self._by_column(raw) if name == "inputs" else []
        else:
            rows = [msgspec.structs.astuple(row) for row in self._records.decode(raw)]
        if not rows:
            return None
        return rows, {} if isinstance(envelope.params, msgspec.UnsetType) else envelope.params

    def _split(self, raw: msgspec.Raw) -> list[tuple[Any, ...]]:
        split = _split.decode(raw)
        order = tuple(split.columns)
        read = self._orders.get(order)
        if read is None:
            read = self._reader_of(order)
            if len(self._orders) < _MOST_ORDERS:
                self._orders[order] = read
        return read(split.data)

    def _reader_of(self, order: tuple[str, ...]) -> Callable[[msgspec.Raw], list[tuple[Any, ...]]]:
        """Make what reads rows whose columns come in an order."""
        known = dict(zip(self.names, self._types, strict=True))
        if len(set(order)) != len(order) or not set(self.names) <= set(order):
            return lambda _raw: []
        row: Any = tuple[tuple(known.get(name, Any) for name in order)]  # type: ignore[misc]
        decode: Any = msgspec.json.Decoder(list[row]).decode
        if list(order) == self.names:
            return decode  # type: ignore[no-any-return]
        places = [order.index(name) for name in self.names]
        if len(places) == 1:
            return lambda raw: [(row[places[0]],) for row in decode(raw)]
        pick = itemgetter(*places)
        return lambda raw: [pick(row) for row in decode(raw)]

    def _by_column(self, raw: msgspec.Raw) -> list[tuple[Any, ...]]:
        columns = msgspec.structs.astuple(self._columns.decode(raw))
        if len({len(column) for column in columns}) != 1:
            return []
        return list(zip(*columns, strict=True))
