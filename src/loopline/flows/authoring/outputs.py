"""How many values a task returns, from the annotation of what it returns."""

from __future__ import annotations

import ast
import typing
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopline.flows.task import Task

__all__ = ["count_outputs"]


def count_outputs(task: Task) -> int | None:
    """Count the values of ``tuple[float, int]`` or of a named tuple; None: no fixed number.

    An annotation that is text, as under ``from __future__ import annotations``, is read and not
    evaluated: the names in it may be for type checkers only.
    """
    signature = task.signature()
    annotation = signature.return_annotation
    if annotation is signature.empty or annotation is None:
        return None
    if isinstance(annotation, str):
        return _count_in_text(annotation, getattr(getattr(task, "fn", task.run), "__globals__", {}))
    return _count(annotation)


def _count(annotation: Any) -> int | None:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, tuple):
        fields = getattr(annotation, "_fields", None)
        if fields is not None:
            return len(fields)
    if typing.get_origin(annotation) is not tuple:
        return None
    arguments = typing.get_args(annotation)
    return None if Ellipsis in arguments else len(arguments)


def _count_in_text(annotation: str, names: dict[str, Any]) -> int | None:
    if not any(each in annotation for each in ("uple[", *_named_tuples(annotation, names))):
        return None
    with suppress(SyntaxError):
        node = ast.parse(annotation, mode="eval").body
        if isinstance(node, ast.Name):
            return _count(names.get(node.id))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(("tuple", "Tuple")):
            inside = node.slice
            items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            if any(isinstance(each, ast.Constant) and each.value is ... for each in items):
                return None
            return len(items)
    return None


def _named_tuples(annotation: str, names: dict[str, Any]) -> tuple[str, ...]:
    found = names.get(annotation)
    return (annotation,) if isinstance(found, type) and issubclass(found, tuple) else ()
