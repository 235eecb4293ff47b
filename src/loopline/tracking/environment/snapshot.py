"""A snapshot: the environment as a few tags and files, ready to be recorded with a run."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.errors import InvalidInputError
from loopline.records.environment import Environment, Machine, PythonState
from loopline.rules.names import check_artifact_path
from loopline.rules.redaction import Redactor
from loopline.rules.secrets import secrets_in
from loopline.tracking.environment import git, notebook, process
from loopline.tracking.environment.machine import read_machine
from loopline.tracking.environment.python import read_python
from loopline.tracking.words import user_name

if TYPE_CHECKING:
    from loopline.tracking.environment.git import Repository

__all__ = ["Snapshot", "redactor", "take"]

DESCRIPTION = "loopline/environment.json"
CODE_FOLDER = "loopline/code"


class Snapshot(NamedTuple):
    """What is recorded of the environment.

    Attributes:
        environment: All of it.
        tags: The part that searches ask for.
        files: Bytes by their artifact path: the description, the difference, sources.
    """

    environment: Environment
    tags: dict[str, str]
    files: dict[str, bytes]


def redactor() -> Redactor:
    """Make a redactor that knows this process's own secrets; their values are kept nowhere."""
    return Redactor(secrets_in(os.environ))


def take() -> Snapshot:
    """Gather the environment of this process as it is now."""
    hide = redactor()
    ipython = notebook.shell()
    name = notebook.name_of(ipython) if ipython is not None else ""
    repository = _repository(hide)
    sources = _sources(repository, hide)
    code = {f"{CODE_FOLDER}/{path}": text for path, text in sources.files.items()}
    code = {path: text for path, text in code.items() if _is_path(path)}
    environment = Environment(
        source=hide.text(name) or process.source_name(hide),
        source_type="NOTEBOOK" if ipython is not None else "LOCAL",
        command=process.command(hide),
        working_folder=hide.text(str(process.working_folder() or "")),
        user=user_name(),
        variables=process.variables(hide),
        python=_python(hide),
        machine=_machine(),
        git=repository.state if repository else None,
        code=sorted(code),
        notes=[sources.note] if sources.note else [],
    )
    description = msgspec.json.format(msgspec.json.encode(environment), indent=2)
    files = {DESCRIPTION: description}
    if repository and repository.diff:
        files[git.DIFF] = repository.diff.encode()
    files |= {path: text.encode() for path, text in code.items()}
    return Snapshot(environment, _tags(environment), files)


@cache
def _machine() -> Machine:
    return read_machine()


def _python(hide: Redactor) -> PythonState:
    state = read_python()
    folders = {name: hide.text(folder) for name, folder in state.folders.items()}
    return msgspec.structs.replace(state, folders=folders)


def _repository(hide: Redactor) -> Repository | None:
    """Look for the repository of what was started, else for that of the working folder."""
    started = process.script()
    for folder in filter(None, [started.parent if started else None, process.working_folder()]):
        root = git.find_repository(folder)
        found = git.read_repository(root, hide) if root else None
        if found:
            return found
    return None


def _sources(repository: Repository | None, hide: Redactor) -> process.Sources:
    """Read the sources that no commit and no difference holds."""
    if repository is None:
        return process.read_sources(hide)
    files = git.unknown_to(repository.root, process.local_files())
    return process.read_files(sorted(files), hide)


def _is_path(path: str) -> bool:
    try:
        check_artifact_path(path)
    except InvalidInputError:
        return False
    return True


def _tags(environment: Environment) -> dict[str, str]:
    machine = environment.machine
    tags = {
        "mlflow.source.name": environment.source,
        "mlflow.source.type": environment.source_type,
        "loopline.python": environment.python.version,
        "loopline.host": machine.host,
        "loopline.system": machine.system,
        "loopline.cpu": machine.cpu.model,
        "loopline.gpu": ", ".join(dict.fromkeys(gpu.name for gpu in machine.gpus)),
    }
    state = environment.git
    if state is not None:
        tags |= {
            "mlflow.source.git.commit": state.commit,
            "mlflow.source.git.branch": state.branch,
            "mlflow.source.git.repoURL": state.remote,
            "loopline.git.dirty": str(state.is_dirty).lower(),
        }
    return {key: value for key, value in tags.items() if value}
