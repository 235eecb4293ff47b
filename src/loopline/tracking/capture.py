"""The environment of every run, gathered in the background: code version, packages, machine.

Nothing here is on the way of ``start_run``: a thread gathers once a process and writes tags and
a file ``loopline/environment.json``. ``os.environ`` is never looked through, let alone stored,
and what looks like a secret on the command line or in a URL is left out.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import re
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.tracking.run import ActiveRun

__all__ = ["capture_into", "environment", "redacted_arguments"]

#: A dirty working tree's difference is kept up to this size.
MAX_DIFF = 2_000_000
GIT_WAIT_S = 10.0
_SECRET = re.compile(r"token|passw|secret|api[-_]?key|credential|private[-_]?key", re.IGNORECASE)
_threads: list[threading.Thread] = []


def capture_into(run: ActiveRun, recorder: Recorder) -> None:
    """Record the environment of a run, in the background."""
    if os.environ.get("LOOPLINE_NO_CAPTURE") == "1":
        return
    thread = threading.Thread(
        target=_capture, args=(run, recorder), name="loopline-capture", daemon=True
    )
    thread.start()
    _threads.append(thread)


def _capture(run: ActiveRun, recorder: Recorder) -> None:
    from loopline.errors import LooplineError
    from loopline.records.facts import TagsSet

    try:
        found = environment()
        tags = {
            "mlflow.source.name": found["script"],
            "mlflow.source.type": "LOCAL",
            "loopline.python": found["python"],
            "loopline.host": found["host"],
        }
        git = found["git"]
        if git:
            tags["mlflow.source.git.commit"] = git["commit"]
            tags["mlflow.source.git.branch"] = git["branch"]
            tags["loopline.git.dirty"] = str(git["dirty"]).lower()
        recorder.record(TagsSet(run_id=run.run_id, tags={k: v for k, v in tags.items() if v}))
        run.log_text(json.dumps(found, indent=2), "loopline/environment.json")
        if git and git["dirty"]:
            diff = _git("diff", "HEAD")
            if diff and len(diff) <= MAX_DIFF:
                run.log_text(diff, "loopline/uncommitted.diff")
    except (LooplineError, OSError, ValueError) as error:
        import warnings

        warnings.warn(
            f"The environment of run {run.run_id} could not be recorded: {error}",
            RuntimeWarning,
            stacklevel=2,
        )


@cache
def environment() -> dict[str, Any]:
    """Describe this process: script, arguments, git, Python, packages, machine."""
    return {
        "script": str(Path(sys.argv[0]).resolve()) if sys.argv and sys.argv[0] else "",
        "arguments": redacted_arguments(sys.argv[1:]),
        "working_folder": str(Path.cwd()),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "host": platform.node(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "memory_bytes": _memory(),
        "git": _git_state(),
        "packages": _packages(),
    }


def redacted_arguments(arguments: list[str]) -> list[str]:
    """Leave the values of options out whose names speak of a secret."""
    kept: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            kept.append("***")
            hide_next = False
        elif argument.startswith("-") and _SECRET.search(name):
            kept.append(f"{name}=***" if equals else name)
            hide_next = not equals
        else:
            kept.append(_without_password(argument))
            hide_next = False
    return kept


def _without_password(text: str) -> str:
    """Take user and password out of a URL."""
    if "://" not in text or "@" not in text:
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", *arguments],  # noqa: S607 - the user's git, wherever it is
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_WAIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _git_state() -> dict[str, Any] | None:
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {
        "commit": commit.strip(),
        "branch": (_git("rev-parse", "--abbrev-ref", "HEAD") or "").strip(),
        "remote": _without_password((_git("remote", "get-url", "origin") or "").strip()),
        "dirty": bool((_git("status", "--porcelain", "--untracked-files=no") or "").strip()),
    }


def _packages() -> dict[str, str]:
    from importlib.metadata import distributions

    found = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found[name] = distribution.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _wait() -> None:
    for thread in _threads:
        thread.join(timeout=GIT_WAIT_S)


def _forget_threads() -> None:
    _threads.clear()


atexit.register(_wait)
os.register_at_fork(after_in_child=_forget_threads)
