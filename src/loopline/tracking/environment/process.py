"""The process: what was started, how, by whom, and which sources it is made of."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import LooplineError
from loopline.tracking.environment import notebook
from loopline.tracking.local_modules import find_modules, imports_of_source, loaded_files

if TYPE_CHECKING:
    from loopline.rules.redaction import Redactor

__all__ = [
    "Sources",
    "command",
    "local_files",
    "read_files",
    "read_sources",
    "script",
    "source_name",
    "tell_script",
    "variables",
    "working_folder",
]

#: All sources together; more is a data folder or an environment in the wrong place.
MAX_SOURCES_BYTES = 2_000_000
#: Environment variables that change results, and hold nothing secret.
_TELLING = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "KERAS_BACKEND",
    "LOOPLINE_TAXI_DATA",
    "LOKY_MAX_CPU_COUNT",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "RANK",
    "LOCAL_RANK",
    "SLURM_JOB_ID",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TZ",
    "VECLIB_MAXIMUM_THREADS",
    "WORLD_SIZE",
    "XLA_FLAGS",
)


class Sources(NamedTuple):
    """Source files of the user's own.

    Attributes:
        files: Text by a name such as ``"taxifare/model.py"``.
        note: Why there are fewer than there should be; empty: there are not.
    """

    files: dict[str, str]
    note: str = ""


def tell_script(file: Path) -> None:
    """Tell which file of the user's a command of ours runs: that is the script, and not we."""
    global _told  # noqa: PLW0603 - of the process, as the script itself
    _told = file


_told: Path | None = None


def script() -> Path | None:
    """Find the file that was started; None at a prompt, with ``-c`` and in notebooks."""
    if notebook.is_kernel():
        return None
    if _told is not None and _told.is_file():
        return _told.resolve()
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(main or (sys.argv[0] if sys.argv else ""))
    try:
        return path.resolve() if path.is_file() else None
    except OSError:
        return None


def source_name(redactor: Redactor) -> str:
    """Name what was started, as a person would."""
    path = script()
    if path is not None:
        return redactor.text(str(path))
    return "python -c" if sys.argv and sys.argv[0] == "-c" else ""


def command(redactor: Redactor) -> list[str]:
    """Tell the command line with its secrets hidden."""
    # orig_argv has the interpreter's own options; sys.argv may have been cut by the program.
    return redactor.arguments(list(sys.orig_argv or sys.argv))


def working_folder() -> Path | None:
    """Tell the working folder; None when it was removed under the process."""
    try:
        return Path.cwd()
    except OSError:
        return None


def variables(redactor: Redactor) -> dict[str, str]:
    """Pick the few environment variables that change results; the others are nobody's business."""
    return {name: redactor.text(os.environ[name]) for name in _TELLING if os.environ.get(name)}


def local_files() -> list[Path]:
    """List the script and the user's own modules that are loaded."""
    started = script()
    found = set(loaded_files().values()) | ({started} if started else set())
    return sorted(path.resolve() for path in found if path.is_file())


def read_sources(redactor: Redactor) -> Sources:
    """Read the script and all local modules that it, or what is loaded, imports."""
    files: dict[str, bytes] = {}
    note = ""
    names = {name.partition(".")[0] for name in loaded_files()}
    started = script()
    if started is not None:
        data = started.read_bytes()
        if len(data) <= MAX_SOURCES_BYTES and b"\0" not in data:
            files[started.name] = data
            names.update(imports_of_source(data))
    try:
        modules = find_modules(sorted(names), most_bytes=MAX_SOURCES_BYTES).files
    except LooplineError as error:
        note = str(error)
        modules = {}
    for path, data in modules.items():
        if data not in files.values():  # The script, under its name as a module.
            files[path] = data
    texts = {path: data.decode(errors="replace") for path, data in sorted(files.items())}
    return Sources({path: redactor.file(path, text) for path, text in texts.items()}, note)


def read_files(files: list[Path], redactor: Redactor) -> Sources:
    """Read given source files; each is named by the end of its path."""
    found: dict[str, str] = {}
    size = 0
    for file in files:
        size += file.stat().st_size
        if size > MAX_SOURCES_BYTES:
            return Sources(found, f"Local sources are over {MAX_SOURCES_BYTES:,} bytes.")
        name = _name_of(file)
        found[name] = redactor.file(name, file.read_bytes().decode(errors="replace"))
    return Sources(found)


def _name_of(file: Path) -> str:
    """Name a file from the folder on ``sys.path`` it was imported from."""
    folders = sorted((Path(place or ".").resolve() for place in sys.path), key=str, reverse=True)
    for folder in folders:
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return file.name
