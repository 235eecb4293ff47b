"""Gathering what a run or a model version rests on, from the store."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec

from loopline.errors import InvalidInputError, NotFoundError
from loopline.models.address import RegistryAddress, RunAddress, parse_model_address
from loopline.records.differences import Basis, FileChange
from loopline.records.environment import Environment
from loopline.records.operations import (
    GetRun,
    ListArtifacts,
    ListInputs,
    ResolveModel,
    SearchRuns,
)
from loopline.reproduce.code import is_commit

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Run

__all__ = ["CODE", "KEPT", "commits_apart", "find_run", "find_version", "gather"]

#: Files that Loopline keeps of each run itself.
KEPT = "loopline"
DESCRIPTION = f"{KEPT}/environment.json"
UNCOMMITTED = f"{KEPT}/uncommitted.diff"
CODE = f"{KEPT}/code/"
CELLS = f"{KEPT}/cells.py"
ID_LENGTH = 32
#: A longer text is no source of one's own.
MOST_BYTES = 5_000_000
MOST_DIFF = 400_000
WAIT_S = 10.0


def gather(backend: Backend, which: str) -> Basis:
    """Gather what a run or model version rests on.

    Args:
        backend: Where it is.
        which: A run's id (or its first letters), or name, or ``models:/name/3`` and its likes.

    Raises:
        NotFoundError: There is none, or the version names no run that is here.
        InvalidInputError: Several runs have this name, or ids that begin so.
    """
    version = find_version(backend, which)
    if version is None:
        run = find_run(backend, which)
    elif version.run_id:
        run = backend.call(GetRun(run_id=version.run_id))
    else:
        msg = (
            f"Nobody said which run made version {version.version} of {version.name}, so there is "
            "nothing to tell of its code and data. Register models with log_model in a run."
        )
        raise NotFoundError(msg)
    files = {
        file.path: file
        for file in backend.call(ListArtifacts(run_id=run.run_id, recursive=True))
        if not file.is_dir
    }

    def text(path: str) -> str:
        file = files.get(path)
        if file is None or file.size_bytes > MOST_BYTES:
            return ""
        return b"".join(backend.read_blob(file.sha256)).decode(errors="replace")

    described = text(DESCRIPTION)
    sources = {path.removeprefix(CODE): text(path) for path in files if path.startswith(CODE)}
    if CELLS in files:
        sources["cells.py"] = text(CELLS)
    own = sum(f.size_bytes for path, f in files.items() if not path.startswith(f"{KEPT}/"))
    return Basis(
        run=run,
        version=version,
        environment=_decode(described) if described else None,
        sources=sources,
        uncommitted=text(UNCOMMITTED),
        inputs=backend.call(ListInputs(run_id=run.run_id)),
        size_bytes=own if version is None else version.size_bytes,
    )


def find_version(backend: Backend, which: str) -> ModelVersion | None:
    """Find the model version that an address means; None for what is no such address."""
    if not which.startswith("models:"):
        return None
    address = parse_model_address(which)
    if not isinstance(address, RegistryAddress):
        msg = f"{which!r} is a logged model: give its run, or a version such as models:/name/3."
        raise InvalidInputError(msg)
    return backend.call(
        ResolveModel(
            name=address.name,
            version=address.version,
            stage=address.stage,
            alias=address.alias,
            latest=address.latest,
        )
    ).version


def find_run(backend: Backend, which: str) -> Run:
    """Find a run by its address, its id or the first letters of it, or its name."""
    if which.startswith("runs:"):
        address = which.removeprefix("runs:").strip("/")
        found = parse_model_address(which) if "/" in address else RunAddress(address, "")
        which = found.run_id if isinstance(found, RunAddress) else address
    if len(which) == ID_LENGTH and which.isalnum():
        return backend.call(GetRun(run_id=which))
    runs = []
    if which.isalnum():
        runs = _search(backend, f"attributes.run_id LIKE '{which}%'")
    if not runs:
        quoted = which.replace("\\", "\\\\").replace("'", "\\'")
        runs = _search(backend, f"attributes.run_name = '{quoted}'")
    if not runs:
        msg = (
            f"No run's id begins with {which!r}, and none has this name. List the runs with "
            "`loopline runs list`; a model version is models:/NAME/3."
        )
        raise NotFoundError(msg)
    if len(runs) > 1:
        ids = ", ".join(run.run_id[:8] for run in runs)
        msg = f"Several runs are meant by {which!r} ({ids}, …). Give the id of one."
        raise InvalidInputError(msg)
    return runs[0]


def _search(backend: Backend, filter_: str) -> list[Run]:
    return backend.call(SearchRuns(filter=filter_, max_results=3)).runs


def _decode(text: str) -> Environment | None:
    try:
        return msgspec.json.decode(text, type=Environment)
    except msgspec.MsgspecError:
        return None


def commits_apart(a: Basis, b: Basis) -> list[FileChange]:
    """Ask git what lies between two commits, where their repository is on this machine."""
    before = a.environment.git if a.environment else None
    after = b.environment.git if b.environment else None
    if before is None or after is None or before.commit == after.commit:
        return []
    if not (is_commit(before.commit) and is_commit(after.commit)):
        return []
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", after.root, "diff", "--no-color", "--no-ext-diff", "--no-textconv",  # noqa: S607
             before.commit, after.commit, "--", "*.py", "*.toml", "*.cfg", "*.yaml", "*.yml",
             "*.json", "*.sql", "*.ipynb"],
            capture_output=True, text=True, errors="replace", timeout=WAIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    if done.returncode or len(done.stdout) > MOST_DIFF:
        return []
    return [_file_change(part) for part in done.stdout.split("\ndiff --git ") if part]


def _file_change(part: str) -> FileChange:
    heading, _, body = part.removeprefix("diff --git ").partition("\n")
    return FileChange(path=heading.rpartition(" b/")[2], diff=body if body[-1:] else heading)
