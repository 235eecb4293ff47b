"""Models of users' own as pickles: written with the code they need, read only when allowed."""

from __future__ import annotations

import importlib
import importlib.metadata
import pickle
import shutil
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.models import python_base
from loopline.models.python_base import WrappedModel
from loopline.tracking.local_modules import find_modules, imported_names, is_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopline.models.python_base import PythonModel

__all__ = ["CODE", "Pickled", "add_code", "copy_code", "distributions_of", "pickled", "unpickle"]

CODE = "code"


class Pickled(NamedTuple):
    """A pickled model.

    Attributes:
        data: The pickle.
        copy: What comes of it: loading was tried.
        sources: Source files of the local modules it needs, by their path on ``sys.path``.
        packages: Top-level names of the installed packages it imports.
    """

    data: bytes
    copy: PythonModel
    sources: dict[str, bytes]
    packages: set[str]


def pickled(model: PythonModel) -> Pickled:
    """Pickle a model and find what loading it needs.

    Raises:
        InvalidInputError: It cannot be pickled.
    """
    import cloudpickle

    cloudpickle.register_pickle_by_value(python_base)
    try:
        data = cloudpickle.dumps(model)
    except Exception as error:
        inner = model.inner if isinstance(model, WrappedModel) else model
        msg = (
            f"{_name_of(inner)} cannot be pickled: {error}. Give it what it needs in load_context, "
            "from artifacts=, and keep open files and connections out of it."
        )
        raise InvalidInputError(msg) from error
    finally:
        cloudpickle.unregister_pickle_by_value(python_base)
    reading = _Reading(data)
    copy = reading.load()
    modules = reading.modules | _imports_of(model)
    local = {name for name in modules if is_local(name)}
    found = find_modules(local)
    packages = found.packages | {name.partition(".")[0] for name in modules - local}
    return Pickled(data, copy, found.files, packages - sys.stdlib_module_names)


def unpickle(path: Path) -> Any:  # noqa: ANN401 - what the file holds
    """Load a pickle, which runs code from it; only for files that somebody vouched for.

    Raises:
        MissingExtraError: It needs a package that is not installed.
    """
    import cloudpickle

    try:
        with path.open("rb") as file:
            return cloudpickle.load(file)
    except ModuleNotFoundError as error:
        package = (error.name or "a module").partition(".")[0]
        raise MissingExtraError(package, purpose=f"The model in {path.name}") from error


def copy_code(folder: Path, sources: dict[str, bytes], code_paths: Sequence[str | Path]) -> bool:
    """Put source files into the model's ``code`` folder; tell whether there are any.

    Args:
        folder: Of the model.
        sources: Content by path.
        code_paths: Files and folders, which come under their own names.

    Raises:
        InvalidInputError: One of ``code_paths`` is not there.
    """
    root = folder / CODE
    for path, data in sources.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for given in code_paths:
        source = Path(given).expanduser().resolve()
        target = root / source.name
        root.mkdir(exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
        elif source.is_file():
            shutil.copyfile(source, target)
        else:
            msg = f"There is no {str(given)!r} to put beside the model. Check code_paths."
            raise InvalidInputError(msg)
    return root.exists()


def add_code(folder: Path, settings: dict[str, Any]) -> None:
    """Let modules that came with a model be imported, after all those of this machine."""
    from loopline.models.mlmodel import inside

    if settings.get("code"):
        path = str(inside(folder, str(settings["code"])))
        if path not in sys.path:
            sys.path.append(path)
            importlib.invalidate_caches()


def distributions_of(packages: Iterable[str]) -> list[str]:
    """Tell which distributions bring packages of these names."""
    known = importlib.metadata.packages_distributions()
    return sorted({name for package in packages for name in known.get(package, [])} - {"loopline"})


class _Reading(pickle.Unpickler):
    """Reads back what was just written, and notes which modules that takes."""

    def __init__(self, data: bytes) -> None:
        import io

        super().__init__(io.BytesIO(data))
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - whatever it is
        if module.startswith("cloudpickle"):
            return self._import if name == "subimport" else super().find_class(module, name)
        self.modules.add(module)
        return super().find_class(module, name)

    def _import(self, name: str) -> ModuleType:
        self.modules.add(name)
        return importlib.import_module(name)


def _imports_of(model: PythonModel) -> set[str]:
    """Find what functions of a model import in their bodies."""
    inner = model.inner if isinstance(model, WrappedModel) else model
    functions = (
        [inner]
        if isinstance(inner, FunctionType)
        else [each for kind in type(inner).__mro__ for each in vars(kind).values()]
    )
    return {
        name
        for function in functions
        if isinstance(function, FunctionType)
        for name in imported_names(function.__code__)
    }


def _name_of(model: object) -> str:
    return getattr(model, "__name__", type(model).__name__)
