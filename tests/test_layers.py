"""The layers, where import-linter cannot look: nothing inside imports the package root."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
MODULES = sorted((SOURCE / "loopline").rglob("*.py"))


def is_module(dotted: str) -> bool:
    path = SOURCE.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def root_imports(tree: ast.AST, package: list[str]) -> list[int]:
    """Return the lines that import ``loopline`` itself, seen from inside ``package``."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            if any(alias.name == "loopline" for alias in node.names):
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [alias.name for alias in node.names]
            if origin == "loopline" and not all(is_module(f"loopline.{name}") for name in names):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_inside_imports_the_package_root(module: Path) -> None:
    tree = ast.parse(module.read_text())
    assert root_imports(tree, list(module.parent.relative_to(SOURCE).parts)) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import loopline", True),
        ("import loopline as ll", True),
        ("from loopline import log_metric", True),
        ("from .. import log_metric", True),
        ("import loopline.records", False),
        ("from loopline import records", False),
        ("from loopline.records import base", False),
        ("from . import records", False),
        ("import os", False),
    ],
)
def test_an_import_of_the_package_root_is_recognised(line: str, *, found: bool) -> None:
    assert bool(root_imports(ast.parse(line), ["loopline", "cli"])) is found
