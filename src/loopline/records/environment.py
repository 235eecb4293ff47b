"""Records of a run's environment: what it ran from, with what, and where."""

from __future__ import annotations

from loopline.records.base import Record

__all__ = ["Cpu", "Environment", "GitState", "Gpu", "Machine", "PythonState"]


class GitState(Record, frozen=True, kw_only=True):
    """The repository that the code came from, as it was when the run began.

    Attributes:
        root: Its top folder on that machine.
        commit: Hash of the commit checked out.
        branch: Its name; empty when no branch is checked out.
        remote: URL it was cloned from, without user or password; empty: none.
        is_dirty: Whether what ran may differ from the commit: changed or new Python files.
        changed: Tracked files that differ from the commit.
        untracked: Python files and notebooks that git neither tracks nor ignores.
        diff: Artifact that leads from the commit to what ran; empty when there is none.
        note: What could not be read, and why.
    """

    root: str
    commit: str
    branch: str = ""
    remote: str = ""
    is_dirty: bool = False
    changed: list[str] = []
    untracked: list[str] = []
    diff: str = ""
    note: str = ""


class Cpu(Record, frozen=True, kw_only=True):
    """The processors.

    Attributes:
        model: Such as ``"AMD EPYC 7B13"``; empty when unknown.
        logical: Hardware threads of the machine.
        cores: Physical cores of the machine; None when unknown.
        usable: Hardware threads this process may run on.
        limit: Processors a container allows, such as 1.5; None: no limit.
    """

    model: str = ""
    logical: int = 0
    cores: int | None = None
    usable: int = 0
    limit: float | None = None


class Gpu(Record, frozen=True, kw_only=True):
    """A GPU of the machine, whether the process used it or not."""

    name: str
    memory_bytes: int | None = None


class Machine(Record, frozen=True, kw_only=True):
    """The machine, and what a container leaves of it.

    Attributes:
        system: Such as ``"Debian GNU/Linux 12 (bookworm)"``.
        kernel: Such as ``"Linux 6.1.0"``.
        architecture: Such as ``"x86_64"``.
        memory_bytes: Memory of the machine.
        memory_limit_bytes: Memory a container allows; None: no limit.
        container: ``"docker"``, ``"podman"``, ``"kubernetes"``, ...; empty: none was noticed.
        gpu_driver: Version of NVIDIA's driver; empty: there is none.
        cuda: Newest CUDA version that the driver can.
    """

    host: str
    system: str
    kernel: str
    architecture: str
    cpu: Cpu
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    container: str = ""
    gpus: list[Gpu] = []
    gpu_driver: str = ""
    cuda: str = ""


class PythonState(Record, frozen=True, kw_only=True):
    """The interpreter and everything installed for it.

    Attributes:
        packages: Installed distributions with their versions, by normalized name.
        folders: Of those that were installed from a folder on that machine: which. No index
            has them.
    """

    version: str
    implementation: str
    executable: str
    prefix: str
    packages: dict[str, str] = {}
    folders: dict[str, str] = {}


class Environment(Record, frozen=True, kw_only=True):
    """What a run ran from, with what, and where; secrets are left out.

    Attributes:
        source: The script, notebook or module; empty in an interactive session.
        source_type: ``"LOCAL"`` or ``"NOTEBOOK"``, MLflow's words.
        command: The whole command line.
        working_folder: Where it was started.
        variables: The few environment variables that change results and hold no secret.
        git: None when the code was in no repository with a commit.
        code: Artifacts that hold sources which are in no commit.
        notes: What could not be gathered, and why.
    """

    source: str = ""
    source_type: str = "LOCAL"
    command: list[str] = []
    working_folder: str = ""
    user: str = ""
    variables: dict[str, str] = {}
    python: PythonState
    machine: Machine
    git: GitState | None = None
    code: list[str] = []
    notes: list[str] = []
