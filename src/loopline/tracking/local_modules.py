"""Local modules: which of the imported code is the user's own, not installed from elsewhere."""

from __future__ import annotations

import ast
import dis
import importlib.util
import io
import os
import site
import sys
import sysconfig
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import FlowBuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec
    from types import CodeType

__all__ = [
    "Modules",
    "find_modules",
    "imported_names",
    "imports_of_source",
    "is_local",
    "loaded_files",
    "zip_sources",
]

#: More source than this is a data folder or an environment in the wrong place.
_MOST_BYTES = 50_000_000

_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})

#: Where the wheel has the examples: in our folder, but on no other process's path.
_EXAMPLES = Path(__file__).parents[1] / "_examples"

#: The zip format's first day: a bundle of the same files has the same bytes wherever it is made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class Modules(NamedTuple):
    """What some code imports, directly and through local modules.

    Attributes:
        files: Source bytes of the local modules by their path on ``sys.path``, such as
            ``"taxifare/interface/main.py"``.
        packages: Top-level names of what is installed, without the standard library.
    """

    files: dict[str, bytes]
    packages: set[str]


def find_modules(names: Iterable[str], *, most_bytes: int = _MOST_BYTES) -> Modules:
    """Follow imports from top-level module names, through all source files of local ones.

    A local package comes whole, with every ``.py`` file in its folder, so that what it imports
    inside functions is there too. Other files (data, compiled extensions) do not come.

    Raises:
        FlowBuildError: When the local sources are far too large to be sources.
    """
    files: dict[str, bytes] = {}
    packages: set[str] = set()
    todo = [name.partition(".")[0] for name in names]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen or name in sys.stdlib_module_names or _is_ours(name):
            continue
        seen.add(name)
        spec = _find_spec(name)
        if spec is None:
            continue
        if not _is_local(spec):
            packages.add(name)
            continue
        for path, data in _read_sources(name, spec):
            files[path] = data
            todo.extend(imports_of_source(data))
        if sum(map(len, files.values())) > most_bytes:
            msg = (
                f"The sources of {name!r} with what it imports are over {most_bytes:,} bytes. "
                "Move data and environments out of the package's folder, or install the package."
            )
            raise FlowBuildError(msg)
    return Modules(files=files, packages=packages)


def is_local(name: str) -> bool:
    """Tell whether a module is the user's own: not installed, not the standard library's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or _is_ours(top):
        return False
    spec = _find_spec(top)
    return spec is not None and _is_local(spec)


def _is_ours(top: str) -> bool:
    """Tell whether a module is Loopline, also under the name of another system, or the script."""
    if top in {"__main__", "loopline"}:
        return True
    return str(getattr(sys.modules.get(top), "__name__", "")).partition(".")[0] == "loopline"


def imported_names(code: CodeType) -> Iterator[str]:
    """Yield the modules that a function's bytecode imports by absolute name."""
    instructions = list(dis.get_instructions(code))
    for index, instruction in enumerate(instructions):
        is_import = instruction.opname == "IMPORT_NAME"
        # Two instructions before stands the level: 0, unless the import is relative.
        if is_import and index > 1 and instructions[index - 2].argval == 0:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from imported_names(constant)


def loaded_files() -> dict[str, Path]:
    """Find the source files of the local modules that this process has imported, by module."""
    found = {}
    installed = tuple(f"{root}{os.sep}" for root in _installed_roots())
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or _is_ours(name.partition(".")[0]):
            continue
        # Thousands are installed: told by their text, which costs no look at the disk.
        if file.endswith(".py") and not file.startswith(installed):
            path = Path(file)
            # No module is loaded from a relative path; PyTorch makes up one, "_ops.py".
            if path.is_absolute() and not _is_installed(path):
                found[name] = path
    return found


def zip_sources(files: dict[str, bytes]) -> bytes:
    """Pack files into a zip whose bytes depend on nothing but the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=_NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, files[path])
    return buffer.getvalue()


def _find_spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if spec is not None:
        return spec  # type: ignore[no-any-return]
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _is_local(spec: ModuleSpec) -> bool:
    places = _places(spec)
    return bool(places) and not any(_is_installed(place) for place in places)


def _places(spec: ModuleSpec) -> list[Path]:
    """List the folders of a package, or the file of a plain module; empty: neither."""
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    if spec.has_location and spec.origin and spec.origin.endswith(".py"):
        return [Path(spec.origin)]
    return []


def _is_installed(place: Path) -> bool:
    if place.is_relative_to(_EXAMPLES):
        return False
    if _SKIPPED_FOLDERS.intersection(place.parts):
        return True
    resolved = place.resolve()
    return any(resolved.is_relative_to(root) for root in _installed_roots())


@lru_cache(maxsize=1)
def _installed_roots() -> list[Path]:
    paths = sysconfig.get_paths()
    roots = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots += [*site.getsitepackages(), site.getusersitepackages()]
    return [Path(root).resolve() for root in roots]


def _read_sources(name: str, spec: ModuleSpec) -> Iterator[tuple[str, bytes]]:
    for place in _places(spec):
        if place.is_dir():
            for file in _python_files(place):
                yield f"{name}/{file.relative_to(place).as_posix()}", file.read_bytes()
        else:
            yield f"{name}.py", place.read_bytes()


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            child
            for child in folders
            if child not in _SKIPPED_FOLDERS
            and not child.startswith(".")
            and not Path(parent, child, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(parent, name)


def imports_of_source(data: bytes) -> Iterator[str]:
    """Yield the top-level names that a source file imports by absolute name."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return  # A template or another Python's file: nothing that is imported here.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
