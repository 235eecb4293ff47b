"""Schemas and signatures: what a model takes and gives, in MLflow's JSON form."""

from __future__ import annotations

import json
from typing import Any

from loopline.errors import InvalidInputError
from loopline.records.base import Record

__all__ = ["TYPES", "Column", "Param", "Schema", "Signature", "Tensor"]

#: Column types in MLflow's words; arrays, maps and objects have a shape of their own.
TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


class Column(Record, frozen=True, kw_only=True):
    """One column of a table.

    Attributes:
        name: As in the table; an integer for a table whose columns are only counted, None for
            a single column without a name.
        type: One of ``TYPES``, or ``array``, ``object``, ``map``, ``any``.
        required: Whether a row may leave it out or leave it empty.
        details: ``items`` of an array, ``properties`` of an object, ``values`` of a map, as
            MLflow writes them.
    """

    name: str | int | None = None
    type: str
    required: bool = True
    details: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it


class Tensor(Record, frozen=True, kw_only=True):
    """An array.

    Attributes:
        name: Name of the input, or None when there is only one.
        dtype: NumPy's name of the type, such as ``float32``.
        shape: -1 stands for any length.
    """

    name: str | None = None
    dtype: str
    shape: tuple[int, ...]


class Param(Record, frozen=True, kw_only=True):
    """A parameter of ``predict`` with its default.

    Attributes:
        shape: None for a single value, ``(-1,)`` for a list.
    """

    name: str
    type: str
    default: Any = None
    shape: tuple[int, ...] | None = None


class Schema(Record, frozen=True, kw_only=True):
    """Either columns of a table or tensors."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()

    @property
    def names(self) -> list[str | int]:
        """Names of the columns or tensors, without those that have none."""
        found: list[str | int | None] = [part.name for part in self.columns]
        found += [part.name for part in self.tensors]
        return [name for name in found if name is not None]

    def to_json(self) -> str:
        """Write it as MLflow does: a JSON list."""
        parts: list[dict[str, Any]] = []
        for column in self.columns:
            part = {"type": column.type, **column.details}
            if column.name is not None:
                part["name"] = column.name
            parts.append({**part, "required": column.required})
        for tensor in self.tensors:
            part = {"type": "tensor"}
            if tensor.name is not None:
                part["name"] = tensor.name
            part["tensor-spec"] = {"dtype": tensor.dtype, "shape": list(tensor.shape)}
            parts.append(part)
        return json.dumps(parts)

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read what MLflow or ``to_json`` wrote.

        Raises:
            InvalidInputError: It is not such a list.
        """
        try:
            parts = list(json.loads(text))
            return cls(
                columns=tuple(_column(part) for part in parts if part["type"] != "tensor"),
                tensors=tuple(_tensor(part) for part in parts if part["type"] == "tensor"),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            msg = (
                f"The signature in MLmodel cannot be read: {text[:200]!r}. Log the model again "
                "with `signature=infer_signature(inputs, outputs)`."
            )
            raise InvalidInputError(msg) from error


class Signature(Record, frozen=True, kw_only=True):
    """What a model takes, what it gives, and the parameters of ``predict``."""

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[Param, ...] = ()

    def to_dict(self) -> dict[str, str | None]:
        """Write it as MLflow's MLmodel has it: JSON texts under three keys."""
        params = [
            {
                "name": param.name,
                "default": param.default,
                "shape": None if param.shape is None else list(param.shape),
                "type": param.type,
            }
            for param in self.params
        ]
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": json.dumps(params) if params else None,
        }

    @classmethod
    def from_dict(cls, texts: dict[str, Any]) -> Signature:
        """Read what MLflow or ``to_dict`` wrote.

        Raises:
            InvalidInputError: One of the texts is not what MLflow writes.
        """
        inputs, outputs = texts.get("inputs"), texts.get("outputs")
        try:
            params = tuple(_param(part) for part in json.loads(texts.get("params") or "[]"))
        except (ValueError, TypeError, KeyError) as error:
            msg = f"The params in MLmodel cannot be read: {texts['params']!r}. Log the model again."
            raise InvalidInputError(msg) from error
        return cls(
            inputs=Schema.from_json(inputs) if inputs else None,
            outputs=Schema.from_json(outputs) if outputs else None,
            params=params,
        )


def _column(part: dict[str, Any]) -> Column:
    known = {"type", "name", "required", "optional"}
    return Column(
        name=part.get("name"),
        type=str(part["type"]),
        # Before 2.9 MLflow wrote the opposite word.
        required=bool(part.get("required", not part.get("optional", False))),
        details={key: value for key, value in part.items() if key not in known},
    )


def _tensor(part: dict[str, Any]) -> Tensor:
    spec = part["tensor-spec"]
    return Tensor(
        name=part.get("name"),
        dtype=str(spec["dtype"]),
        shape=tuple(int(length) for length in spec["shape"]),
    )


def _param(part: dict[str, Any]) -> Param:
    shape = part.get("shape")
    return Param(
        name=str(part["name"]),
        type=str(part.get("type", part.get("dtype", "string"))),
        default=part.get("default"),
        shape=None if shape is None else tuple(int(length) for length in shape),
    )
