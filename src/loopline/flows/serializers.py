"""Serializers: how a task's result becomes bytes where ``result=`` says it is kept.

``PickleSerializer`` executes what is in the bytes when it reads them, so keep pickles only where
nobody else may write; the others read data and nothing more.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import pickle
import zlib
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "CompressedSerializer",
    "DateTimeSerializer",
    "JSONSerializer",
    "PandasSerializer",
    "PickleSerializer",
    "Serializer",
]


class Serializer(ABC):
    """Turns a value into bytes and back; two with the same settings are equal."""

    @abstractmethod
    def serialize(self, value: Any) -> bytes:  # noqa: ANN401 - any value
        """Turn a value into bytes."""

    @abstractmethod
    def deserialize(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Turn bytes into the value."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))


class PickleSerializer(Serializer):
    """Any value, by value: classes that a script defined travel along."""

    def serialize(self, value: Any) -> bytes:  # noqa: ANN401 - any value
        """Pickle a value."""
        from loopline.flows.running.results import dump

        return dump(value)

    def deserialize(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Unpickle a value: this executes what is in the bytes."""
        return pickle.loads(value)  # noqa: S301 - where the flow's author keeps results


class JSONSerializer(Serializer):
    """Numbers, texts, lists and dicts."""

    def serialize(self, value: Any) -> bytes:  # noqa: ANN401 - JSON-like data
        """Write JSON."""
        return json.dumps(value).encode()

    def deserialize(self, value: bytes) -> Any:  # noqa: ANN401 - JSON-like data
        """Read JSON."""
        return json.loads(value)


class DateTimeSerializer(Serializer):
    """A moment, as ISO 8601 text."""

    def serialize(self, value: datetime) -> bytes:
        """Write the text."""
        return value.isoformat().encode()

    def deserialize(self, value: bytes) -> datetime:
        """Read the text."""
        return datetime.fromisoformat(value.decode())


class PandasSerializer(Serializer):
    """A table, by pandas' own writers and readers.

    Args:
        file_type: Such as ``"csv"``, ``"parquet"`` or ``"json"``; ``to_…`` and ``read_…`` of it
            must be there.
        deserialize_kwargs: Arguments for the reader.
        serialize_kwargs: Arguments for the writer.

    Raises:
        InvalidInputError: It is a pickle, which would be executed when read.
    """

    def __init__(
        self,
        file_type: str,
        deserialize_kwargs: Mapping[str, Any] | None = None,
        serialize_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if file_type == "pickle":
            msg = "PandasSerializer keeps tables as data. Use PickleSerializer() for pickles."
            raise InvalidInputError(msg)
        self.file_type = file_type
        self.deserialize_kwargs = dict(deserialize_kwargs or {})
        self.serialize_kwargs = dict(serialize_kwargs or {})

    def serialize(self, value: Any) -> bytes:  # noqa: ANN401 - pandas is imported when used
        """Write a table.

        Raises:
            InvalidInputError: It is no table, or pandas has no such writer.
        """
        write = getattr(value, f"to_{self.file_type}", None)
        if write is None:
            msg = (
                f"{type(value).__name__} has no to_{self.file_type}. Return a pandas table, or "
                "choose another file_type."
            )
            raise InvalidInputError(msg)
        buffer = io.BytesIO()
        write(buffer, **self.serialize_kwargs)
        return buffer.getvalue()

    def deserialize(self, value: bytes) -> Any:  # noqa: ANN401 - as above
        """Read a table."""
        read = getattr(importlib.import_module("pandas"), f"read_{self.file_type}")
        return read(io.BytesIO(value), **self.deserialize_kwargs)


_FORMATS: dict[str, tuple[Callable[..., bytes], Callable[..., bytes]]] = {
    "bz2": (bz2.compress, bz2.decompress),
    "gzip": (gzip.compress, gzip.decompress),
    "lzma": (lzma.compress, lzma.decompress),
    "zlib": (zlib.compress, zlib.decompress),
}


class CompressedSerializer(Serializer):
    """Another serializer's bytes, compressed.

    Args:
        serializer: That other one.
        format: ``"bz2"``, ``"gzip"``, ``"lzma"`` or ``"zlib"``.
        compress: One's own function, instead of a format.
        decompress: Likewise.
        compress_kwargs: Arguments for compressing.
        decompress_kwargs: Arguments for decompressing.

    Raises:
        InvalidInputError: There is neither a known format nor a pair of functions.
    """

    def __init__(
        self,
        serializer: Serializer,
        format: str | None = None,  # noqa: A002 - Prefect 1's name
        compress: Callable[..., bytes] | None = None,
        decompress: Callable[..., bytes] | None = None,
        compress_kwargs: Mapping[str, Any] | None = None,
        decompress_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if compress is None or decompress is None:
            if format not in _FORMATS:
                msg = (
                    f"There is no compression {format!r}. Use one of {', '.join(_FORMATS)}, or "
                    "give compress and decompress."
                )
                raise InvalidInputError(msg)
            compress, decompress = _FORMATS[format]
        self._serializer = serializer
        self._compress = compress
        self._decompress = decompress
        self._compress_kwargs = dict(compress_kwargs or {})
        self._decompress_kwargs = dict(decompress_kwargs or {})

    def serialize(self, value: Any) -> bytes:  # noqa: ANN401 - any value
        """Serialize and compress."""
        return self._compress(self._serializer.serialize(value), **self._compress_kwargs)

    def deserialize(self, value: bytes) -> Any:  # noqa: ANN401 - any value
        """Decompress and deserialize."""
        return self._serializer.deserialize(self._decompress(value, **self._decompress_kwargs))
