"""The git repository a run came from: commit, branch, remote, and what is in no commit.

Git is asked, not its files: work trees, packed references and attributes are its business. It
takes no lock (``GIT_OPTIONAL_LOCKS=0``), so that a user's own command beside it never fails, and
every question has an end.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from loopline.records.environment import GitState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loopline.rules.redaction import Redactor

__all__ = ["DIFF", "Repository", "find_repository", "read_repository", "unknown_to"]

#: Where the difference is kept among a run's artifacts.
DIFF = "loopline/uncommitted.diff"
#: A larger difference is not kept; it is data, or another branch.
MAX_DIFF_BYTES = 2_000_000
#: A new file larger than this is named only.
MAX_NEW_FILE_BYTES = 100_000
#: Most names kept of changed and of new files.
MAX_NAMES = 1000
MAX_LIST_BYTES = 10_000_000
WAIT_S = 5.0


class Repository(NamedTuple):
    """What a repository says of the code.

    Attributes:
        root: Its top folder.
        state: The record of it.
        diff: What leads from the commit to what ran, redacted; empty: nothing.
    """

    root: Path
    state: GitState
    diff: str


def find_repository(folder: Path) -> Path | None:
    """Find the top of the work tree that a folder lies in, without asking git."""
    for parent in (folder, *folder.parents):
        # A folder, or a file in work trees and submodules.
        if (parent / ".git").exists():
            return parent
    return None


def read_repository(root: Path, redactor: Redactor) -> Repository | None:
    """Ask git for everything; None where it has no commit, or will not answer."""
    status = _status(root)
    if status is None or not status.commit:
        return None
    notes = []
    untracked = _untracked(root)
    if untracked is None:
        notes.append("New files could not be listed in time.")
    diff = ""
    if status.changed or untracked:
        tracked = _tracked_changes(root) if status.changed else ""
        if tracked is None:
            notes.append(f"The changes are over {MAX_DIFF_BYTES:,} bytes and are not kept.")
        added, skipped = _new_files(root, untracked or [])
        if skipped:
            notes.append(f"Not kept as they are large or no text: {', '.join(skipped)}.")
        diff = redactor.diff((tracked or "") + added)
    return Repository(
        root,
        GitState(
            root=redactor.text(str(root)),
            commit=status.commit,
            branch=redactor.text(status.branch),
            remote=redactor.text(_remote(root)),
            is_dirty=bool(status.changed or untracked),
            changed=status.changed[:MAX_NAMES],
            untracked=(untracked or [])[:MAX_NAMES],
            diff=DIFF if diff else "",
            note=" ".join(notes),
        ),
        diff,
    )


def unknown_to(root: Path, files: Iterable[Path]) -> set[Path]:
    """Tell which files are not in a repository's commit nor its difference: outside, or ignored."""
    inside = {
        file.relative_to(root).as_posix(): file for file in files if file.is_relative_to(root)
    }
    outside = set(files) - set(inside.values())
    if not inside:
        return outside
    listed = _git(
        root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *inside
    )
    known = set((listed or "").split("\0"))
    return outside | {file for path, file in inside.items() if path not in known}


class _Status(NamedTuple):
    commit: str
    branch: str
    changed: list[str]


def _status(root: Path) -> _Status | None:
    text = _git(
        root,
        *("status", "--porcelain=v2", "--branch", "-z"),
        *("--untracked-files=no", "--ignore-submodules=dirty"),
    )
    if text is None:
        return None
    commit = branch = ""
    changed = []
    entries = iter(text.split("\0"))
    for entry in entries:
        match entry[:2]:
            case "# ":
                name, _, value = entry[2:].partition(" ")
                if name == "branch.oid" and value != "(initial)":
                    commit = value
                elif name == "branch.head" and value != "(detached)":
                    branch = value
            case "1 ":
                changed.append(entry.split(" ", 8)[-1])
            case "2 ":  # Renamed: the former name follows.
                changed.append(entry.split(" ", 9)[-1])
                next(entries, None)
            case "u ":
                changed.append(entry.split(" ", 10)[-1])
    return _Status(commit, branch, changed)


def _remote(root: Path) -> str:
    text = _git(root, "config", "-z", "--get-regexp", r"^remote\..*\.url$") or ""
    remotes = dict(entry.partition("\n")[::2] for entry in text.split("\0") if entry)
    return remotes.get("remote.origin.url") or next(iter(remotes.values()), "")


def _untracked(root: Path) -> list[str] | None:
    listed = _git(
        root,
        *("ls-files", "-z", "--others", "--exclude-standard", "--", "*.py", "*.ipynb"),
    )
    return None if listed is None else sorted(filter(None, listed.split("\0")))


def _tracked_changes(root: Path) -> str | None:
    """Ask for the changes in a form that ``git apply`` reads whatever the user's settings are."""
    return _git(
        root,
        *("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"),
        *("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty"),
        limit=MAX_DIFF_BYTES,
    )


def _new_files(root: Path, paths: list[str]) -> tuple[str, list[str]]:
    """Write new files as a difference adds them.

    Returns:
        The difference, and the files that are too large or no text.
    """
    parts = []
    skipped = []
    room = MAX_DIFF_BYTES
    for path in paths:
        try:
            file = root / path
            # A notebook is named only: its pictures are no code.
            is_small = file.suffix == ".py" and file.stat().st_size <= MAX_NEW_FILE_BYTES
            text = file.read_bytes().decode() if is_small and room > 0 else None
        except (OSError, UnicodeDecodeError):
            text = None
        if text is None:
            skipped.append(path)
            continue
        room -= len(text)
        parts.append(_added(path, text))
    return "".join(parts), skipped


def _added(path: str, text: str) -> str:
    heading = f"diff --git a/{path} b/{path}\nnew file mode 100644\n"
    if not text:
        return heading
    lines = text.split("\n")
    is_ended = not lines[-1]
    if is_ended:
        del lines[-1]
    body = "".join(f"+{line}\n" for line in lines)
    end = "" if is_ended else "\\ No newline at end of file\n"
    return f"{heading}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}"


def _git(root: Path, *arguments: str, limit: int = MAX_LIST_BYTES) -> str | None:
    """Run git in a folder; None when it fails, says too much, or takes too long."""
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(root), "-c", "core.quotepath=false", *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is meant for the training, not for git.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except OSError:  # There is no git here.
        return None
    with process:
        said = _read(process, limit)
        if said is None:
            process.kill()
    if said is None or process.returncode != 0:
        return None
    return said.decode(errors="replace")


def _read(process: subprocess.Popen[bytes], limit: int) -> bytes | None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    handle = process.stdout.fileno()
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLHUP)
    end = time.monotonic() + WAIT_S
    parts: list[bytes] = []
    size = 0
    while poll.poll(max(0, end - time.monotonic()) * 1000):
        part = os.read(handle, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > limit:
            return None
    return None
