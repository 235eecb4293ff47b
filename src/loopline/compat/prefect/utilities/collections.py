"""Nested dicts and lists, with the names of ``prefect.utilities.collections``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

__all__ = [
    "CompoundKey",
    "DotDict",
    "as_nested_dict",
    "dict_to_flatdict",
    "flatdict_to_dict",
    "flatten_seq",
    "merge_dicts",
]


class DotDict(MutableMapping[str, Any]):
    """A dict whose keys are attributes, too.

    Args:
        init_dict: What it has at first.
        **kwargs: More of it.

    Raises:
        ValueError: A key is the name of one of its methods.
    """

    def __init__(self, init_dict: MutableMapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.update(init_dict or {})
        self.update(kwargs)

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(key, str) and hasattr(MutableMapping, key):
            msg = f"Invalid key: {key!r} is the name of a method of dicts. Choose another."
            raise ValueError(msg)
        self.__dict__[key] = value

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)

    def __repr__(self) -> str:
        named = ", ".join(sorted(map(repr, self)))
        return f"<{type(self).__name__}: {named}>" if named else f"<{type(self).__name__}>"

    def copy(self) -> DotDict:
        """Return another one with the same values."""
        return type(self)(self.__dict__.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, all the way down."""
        plain: dict[str, Any] = as_nested_dict(self, dict)
        return plain


class CompoundKey(tuple[Any, ...]):
    """The keys from the top of a nested dict down to a value."""

    __slots__ = ()


def as_nested_dict(obj: Any, dct_class: type = DotDict) -> Any:
    """Turn dicts, also those inside dicts and lists, into another class of them."""
    if isinstance(obj, list | tuple | set):
        return type(obj)([as_nested_dict(each, dct_class) for each in obj])
    if isinstance(obj, dict | DotDict):
        return dct_class({key: as_nested_dict(value, dct_class) for key, value in obj.items()})
    return obj


def flatten_seq(seq: Iterable[Any]) -> Iterator[Any]:
    """Give what lies in nested sequences, one after the other; texts are one piece."""
    for item in seq:
        if isinstance(item, Iterable) and not isinstance(item, str | bytes):
            yield from flatten_seq(item)
        else:
            yield item


def merge_dicts(d1: Any, d2: Any) -> Any:
    """Merge two nested dicts into a copy of the first one; the second's values count."""
    merged = d1.copy()
    for key, value in d2.items():
        mine = merged.get(key)
        both = isinstance(value, dict | DotDict) and isinstance(mine, dict | DotDict)
        merged[key] = merge_dicts(mine, value) if both else value
    return merged


def dict_to_flatdict(dct: Any, parent: CompoundKey | None = None) -> dict[CompoundKey, Any]:
    """Turn a nested dict into one whose keys are the ways to the values."""
    flat: dict[CompoundKey, Any] = {}
    for key, value in dct.items():
        way = CompoundKey([*(parent or ()), key])
        if isinstance(value, dict | DotDict):
            flat |= dict_to_flatdict(value, way)
        else:
            flat[way] = value
    return flat


def flatdict_to_dict(dct: dict[Any, Any], dct_class: type | None = None) -> Any:
    """Turn back what ``dict_to_flatdict`` made."""
    make = dct_class or type(dct)
    nested = make()
    for key, value in dct.items():
        if not isinstance(key, CompoundKey):
            nested[key] = value
            continue
        place = nested
        for step in key[:-1]:
            place = place.setdefault(step, make())
        place[key[-1]] = value
    return nested
