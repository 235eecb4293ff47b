"""The code of a run, brought back into a fresh folder: a commit and its changes, or files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import IntegrityError, UnsupportedError
from loopline.rules.names import check_artifact_path
from loopline.rules.redaction import HIDDEN

if TYPE_CHECKING:
    from loopline.records.differences import Basis
    from loopline.records.environment import GitState

__all__ = ["Checkout", "check_out", "is_commit", "remove", "without_binaries"]

WAIT_S = 300.0
#: A remote is cloned by these alone: others may run what they are told.
PROTOCOLS = "https:http:ssh:git:file"


class Checkout(NamedTuple):
    """Code in a folder.

    Attributes:
        folder: Where it is.
        said: What it is and where it came from, in words.
        repository: The repository whose work tree it is; None: it stands alone.
        notes: What is not as it was.
    """

    folder: Path
    said: str
    repository: Path | None = None
    notes: tuple[str, ...] = ()


def check_out(basis: Basis, folder: Path) -> Checkout:
    """Bring back the code of a run.

    Args:
        basis: What the run rests on.
        folder: Where to; it must not be there yet.

    Raises:
        UnsupportedError: No code was recorded, or its commit is nowhere to be had.
        IntegrityError: What was not in the commit cannot be put upon it.
    """
    environment = basis.environment
    state = environment.git if environment else None
    if state is None:
        return _write(basis, folder)
    if not is_commit(state.commit):
        msg = f"The recorded commit, {state.commit[:80]!r}, is none. Give the code another way."
        raise UnsupportedError(msg)
    repository = _repository_with(state)
    if repository is not None:
        _git(repository, "worktree", "add", "--detach", "--quiet", str(folder), state.commit)
        place = f"the repository {repository}"
    else:
        _clone(state, folder)
        place = state.remote
    notes = []
    if basis.uncommitted:
        text, binaries = without_binaries(basis.uncommitted)
        if text:
            _apply(text, folder)
        if binaries:
            names = ", ".join(binaries[:5]) + (" and more" if len(binaries) > 5 else "")  # noqa: PLR2004
            notes.append(f"Changes of files that are no text were not recorded: {names}.")
        if HIDDEN in basis.uncommitted:
            notes.append("Secrets in uncommitted changes were not recorded; they are missing.")
    elif state.is_dirty:
        notes.append(f"What was not committed was not kept. {state.note}".strip())
    _add_sources(basis, folder)
    dirt = " with its uncommitted changes" if basis.uncommitted else ""
    return Checkout(
        folder=folder,
        said=f"commit {state.commit[:12]}{dirt}, from {place}",
        repository=repository,
        notes=tuple(notes),
    )


def is_commit(text: str) -> bool:
    """Tell a commit's hash from anything else that git would obey, such as an option."""
    return re.fullmatch(r"[0-9a-f]{7,64}", text) is not None


def remove(checkout: Checkout) -> None:
    """Let the repository forget the work tree."""
    if checkout.repository is not None:
        _git(checkout.repository, "worktree", "remove", "--force", str(checkout.folder))


def _write(basis: Basis, folder: Path) -> Checkout:
    if not basis.sources:
        msg = (
            f"No code is recorded of run {basis.run.run_id}: it began without Loopline's capture, "
            "or through another client. Give the code's folder as --code and a --command."
        )
        raise UnsupportedError(msg)
    folder.mkdir(parents=True)
    _add_sources(basis, folder)
    hidden = any(HIDDEN in text for text in basis.sources.values())
    notes = ("Secrets in the kept sources were not recorded; they are missing.",) if hidden else ()
    return Checkout(
        folder=folder, said=f"{len(basis.sources)} source files kept with the run", notes=notes
    )


def _add_sources(basis: Basis, folder: Path) -> None:
    """Write the kept sources beside what the commit has, and never over it."""
    for path, text in basis.sources.items():
        target = folder / check_artifact_path(path)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def _repository_with(state: GitState) -> Path | None:
    """Find a repository on this machine that has the commit: where it was, or where we stand."""
    for place in (Path(state.root), Path.cwd()):
        if place.is_dir() and _has(place, state.commit):
            return place
    return None


def _has(place: Path, commit: str) -> bool:
    try:
        _git(place, "cat-file", "-e", f"{commit}^{{commit}}")
    except UnsupportedError:
        return False
    return True


def _clone(state: GitState, folder: Path) -> None:
    if not state.remote or state.remote.startswith("-") or HIDDEN in state.remote:
        msg = (
            f"Commit {state.commit[:12]} is in no repository on this machine ({state.root} or the "
            "working folder), and no remote was recorded. Run this inside a clone that has it."
        )
        raise UnsupportedError(msg)
    _git(Path.cwd(), "clone", "--quiet", "--no-checkout", "--", state.remote, str(folder))
    _git(folder, "checkout", "--quiet", "--detach", state.commit)


def without_binaries(difference: str) -> tuple[str, list[str]]:
    """Take out of a difference the files that are no text: of those only the names were recorded.

    Returns:
        The rest, and their names.
    """
    parts = re.split(r"^(?=diff --git )", difference, flags=re.MULTILINE)
    kept, names = [], []
    for part in parts:
        found = re.search(r"^Binary files (?:a/)?(.*) and (?:b/)?(.*) differ$", part, re.MULTILINE)
        if found is None:
            kept.append(part)
        else:
            names.append(found[1] if found[2] == "/dev/null" else found[2])
    return "".join(kept), names


def _apply(difference: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
        ["git", "-C", str(folder), "apply", "--whitespace=nowarn", "-"],  # noqa: S607
        input=difference,
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    if done.returncode:
        msg = (
            f"What was not committed cannot be put upon the commit: {done.stderr.strip()[:500]} "
            "It is kept as loopline/uncommitted.diff of the run."
        )
        raise IntegrityError(msg)


def _git(place: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            # The repository's own hooks are nobody's business here.
            ["git", "-C", str(place), "-c", "core.hooksPath=/dev/null", *arguments],  # noqa: S607
            env={**os.environ, "GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"git could not be asked: {error}. Install git, or check the repository {place}."
        raise UnsupportedError(msg) from error
    if done.returncode:
        msg = f"git {arguments[0]} failed in {place}: {done.stderr.strip()[:500]}"
        raise UnsupportedError(msg)
    return done.stdout
