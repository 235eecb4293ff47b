"""Make an environment that holds exactly what the lock files say.

    python3 tools/bootstrap.py base keras

makes ``.venv`` with the packages of ``locks/base.txt`` and ``locks/keras.txt`` and this project,
editable. Where that is so already it does nothing, at once. ``--venv .venvs/mlflow-3 --no-project
mlflow-3`` makes another environment, which has one lock and nothing of ours.

``locks/NAME-gpu.txt`` is what NAME needs besides, unless its build is for CPUs alone (PyTorch on
Linux: gigabytes).

Wheels are kept in ``~/.cache/loopline/wheels`` (``XDG_CACHE_HOME`` moves it) and checked against
the hashes of the lock whenever they are used, so that the next clone needs no network. pip's own
settings (``PIP_*``, ``pip.conf``) decide where wheels come from.

It may be interrupted at any point and started twice at once: one waits for the other, and the
stamp that says "ready" is written last.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells the user.
    sys.exit(
        "Loopline needs Python 3.11 or newer; this is {}.{}, {}.\n"
        "Install a newer one and name it: make PYTHON=/path/to/python3".format(
            *sys.version_info[:2], sys.executable
        )
    )

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopline"
WHEELS = CACHE / "wheels"

NO_WHEELS = """\
{name}: pip could not get the packages of {lock}.
Without a network this works only where {wheels} already holds them. Next:
  - with a network: run the same command again; what was downloaded is kept;
  - behind a proxy or a mirror: set PIP_INDEX_URL, PIP_PROXY or PIP_CERT, or your pip.conf;
  - without one: copy {wheels} from a machine with the same system and Python."""

FOR_GPUS = """\
This {name} is a build for GPUs, which takes gigabytes more on Linux. The tests need no GPU; where
pip finds a build for CPUs alone (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS), it takes that one."""

BAD_HASH = """\
{name}: a package is not the one that {lock} names (its hash differs).
Look at where pip gets packages from: `pip config list`. `make lock` accepts what is there now."""

NO_VENV = """\
{name}: {python} cannot make environments, its module `ensurepip` is missing.
On Debian and Ubuntu: apt-get install python3.{minor}-venv
Elsewhere name another Python 3.11 or newer: make PYTHON=/path/to/python3"""

VENV_FAILED = "{name}: `python -m venv` failed:\n{why}"
PROJECT_FAILED = "{name}: this project could not be installed:\n{why}"
NO_LOCK = "{name}: there is no {path}. `make lock` writes the files there."

NO_CACHE = """\
{name}: cannot write to {cache} ({reason}).
Set XDG_CACHE_HOME to a folder that you may write to."""


class BootstrapError(Exception):
    """What went wrong, and what to do next."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message.format(name="bootstrap", **facts))


def main(arguments: list[str] | None = None) -> None:
    """Make the environment, or leave it alone where it is right."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("locks", nargs="+", help="names of files in locks/, such as base")
    options.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where (.venv)")
    options.add_argument("--no-project", action="store_true", help="only what the locks name")
    given = options.parse_args(arguments)
    environment = Environment(given.venv.absolute(), project=not given.no_project)
    try:
        if not environment.is_ready(given.locks):
            with one_at_a_time():
                environment.make(given.locks)
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nbootstrap: interrupted; the next start goes on from here.")


class Environment:
    """A folder with its own Python, and a stamp that says what is in it.

    The stamp holds what each part was made from: ``place`` (the folder itself, as scripts name
    it), each lock, and ``project`` (pyproject.toml).
    """

    def __init__(self, folder: Path, *, project: bool) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.stamp = folder / "ready.json"
        self.project = project

    def is_ready(self, locks: list[str]) -> bool:
        """Tell whether there is nothing to do."""
        return self.python.exists() and self.wanted(locks).items() <= self.present().items()

    def wanted(self, locks: list[str]) -> dict[str, str]:
        """Return what the stamp has to say, at least."""
        wanted = {lock: digest(*lock_files(lock)) for lock in locks}
        if self.project:
            wanted["project"] = digest(ROOT / "pyproject.toml")
        return wanted | {"place": f"{ROOT} {self.folder}"}

    def present(self) -> dict[str, str]:
        """Return what the stamp says; nothing when there is none."""
        try:
            return dict(json.loads(self.stamp.read_text()))
        except (OSError, ValueError):
            return {}

    def make(self, locks: list[str]) -> None:
        """Install what is missing; start afresh where something else is installed."""
        if self.is_ready(locks):  # Made by the one we waited for.
            return
        present, wanted = self.present(), self.wanted(locks)
        stale = {name for name in present if name in wanted and present[name] != wanted[name]}
        if not self.python.exists() or not present or stale - {"project"}:
            self.create()
            present = {"place": wanted["place"]}
        for lock in locks:
            if lock not in present:
                self.stamp.unlink(missing_ok=True)  # Half-installed packages look like whole ones.
                self.install(lock)
                present[lock] = wanted[lock]
                self.stamp.write_text(json.dumps(present))
        if self.project and present.get("project") != wanted["project"]:
            self.install_project()
            self.stamp.write_text(json.dumps(present | wanted))

    def create(self) -> None:
        """Make an empty environment."""
        say(f"Making {os.path.relpath(self.folder, ROOT)} with Python {sys.version.split()[0]}")
        shutil.rmtree(self.folder, ignore_errors=True)
        made = run([sys.executable, "-m", "venv", self.folder])
        if re.search("ensurepip is not available|No module named '?venv", made.stdout):
            raise BootstrapError(NO_VENV, python=sys.executable, minor=sys.version_info.minor)
        if made.returncode:
            raise BootstrapError(VENV_FAILED, why=made.stdout)

    def install(self, lock: str) -> None:
        """Install the packages of a lock; those for GPUs only beside a build that asks for them."""
        path, *for_gpus = lock_files(lock)
        self.install_file(path)
        for_cpus = self.folder.glob(f"lib/python3*/site-packages/{lock}-*+cpu.dist-info")
        if for_gpus and not any(for_cpus):
            say(FOR_GPUS.format(name=lock))
            self.install_file(*for_gpus)
        run([self.python, "-m", "compileall", "-q", "-j0", "-x", "/tests/", self.folder / "lib"])

    def install_file(self, path: Path) -> None:
        """Install the packages of a file from the kept wheels; get what is missing first."""
        exact = ["--require-hashes", "--no-deps", "-r", path]
        # Compiled below, without the packages' own tests: a third of all modules.
        kept = ["install", "--no-compile", "--no-index", "--find-links", WHEELS, *exact]
        if not any(WHEELS.glob("*.whl")) or self.pip(*kept).returncode:
            say(f"Downloading the packages of {path.name}; kept in {WHEELS}")
            got = self.pip("download", "--only-binary", ":all:", "--dest", WHEELS, *exact)
            if got.returncode == 0:
                say(f"Installing the packages of {path.name}")
                got = self.pip(*kept)
            if got.returncode:
                say(telling(got.stdout))
                message = BAD_HASH if "DO NOT MATCH THE HASHES" in got.stdout else NO_WHEELS
                raise BootstrapError(message, lock=path.name, wheels=WHEELS)
        else:
            say(f"Installed the packages of {path.name} from {WHEELS}")

    def install_project(self) -> None:
        """Install this project, editable."""
        alone = ["--no-index", "--no-build-isolation", "--no-deps"]  # The locks brought the rest.
        installed = self.pip("install", *alone, "--editable", ROOT)
        if installed.returncode:
            raise BootstrapError(PROJECT_FAILED, why=installed.stdout)
        say("Installed loopline, editable")

    def pip(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the environment's pip."""
        quiet = ["--no-input", "--disable-pip-version-check"]
        return run([self.python, "-m", "pip", arguments[0], *quiet, *arguments[1:]])


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the cache's lock, which the system lets go of even when we are killed."""
    try:
        WHEELS.mkdir(parents=True, exist_ok=True)
        file = (CACHE / "lock").open("w")
    except OSError as error:
        raise BootstrapError(NO_CACHE, cache=CACHE, reason=error.strerror) from error
    with file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - it has no name.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another bootstrap")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock_files(name: str) -> list[Path]:
    """Return the path of a lock, and of what comes with builds for GPUs where there is such."""
    path = ROOT / "locks" / f"{name}.txt"
    if not path.exists():
        raise BootstrapError(NO_LOCK, path=path)
    for_gpus = path.with_stem(f"{name}-gpu")
    return [path, for_gpus] if for_gpus.exists() else [path]


def digest(*paths: Path) -> str:
    """Return what tells one content of files from another."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def telling(output: str) -> str:
    """Return the end of what pip said, without the lines about what went well."""
    lines = output.splitlines()
    well = ("Collecting", "  ", "Saved", "Looking in", "Ignoring", "WARNING: Location")
    return "\n".join([line for line in lines if not line.startswith(well)][-3:])


def run(command: list[object]) -> subprocess.CompletedProcess[str]:
    """Run a command; its two outputs come back as one text. A terminal sees the package at hand.

    The child inherits the lock of `one_at_a_time`: should we be killed, it still holds it.
    """
    text = [str(part) for part in command]
    lines: list[str] = []
    with subprocess.Popen(
        text,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        close_fds=False,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("Collecting ") and sys.stdout.isatty():
                print(f"  {line.split()[1]:<60}", end="\r", flush=True)
    return subprocess.CompletedProcess(text, process.returncode, "".join(lines))


def say(line: str) -> None:
    """Show progress."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
