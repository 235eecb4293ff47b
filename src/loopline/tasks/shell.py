"""Commands as tasks: ``ShellTask`` gives a script to a shell, ``ProcessTask`` starts a program.

Both end the command with all that it started when the task is late, cancelled or interrupted.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from loopline.flows.signals import FAIL
from loopline.flows.task import Task
from loopline.tasks.given import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["ProcessTask", "ShellTask"]

#: Seconds between two looks at whether the task has been told to stop.
_LOOK_S = 0.1
_CHUNK_BYTES = 65_536


class _Command(Task):
    """What both kinds have: where the lines of output go, and what an exit code means."""

    def __init__(
        self,
        *,
        return_all: bool,
        log_stderr: bool,
        stream_output: bool | int | str,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.return_all = return_all
        self.log_stderr = log_stderr
        self.stream_output = _level(stream_output)
        super().__init__(**options)

    def _carry_out(
        self, command: Sequence[str], env: Mapping[str, str] | None, folder: str | None
    ) -> str | list[str] | None:
        lines: list[str] = []

        def take(line: str) -> None:
            if not self.return_all:
                lines.clear()
            lines.append(line)
            if self.stream_output:
                self.logger.log(self.stream_output, line)

        code = _run(command, {**os.environ, **(env or {})}, folder, take)
        last = lines[-1] if lines else None
        output: str | list[str] | None = lines if self.return_all else last
        if code:
            ended = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
            message = f"The command {ended}."
            if self.log_stderr and not self.stream_output and lines:
                self.logger.error("\n".join(lines))
            raise FAIL(message, result=output)
        return output


class ShellTask(_Command):
    """Run a script in a shell.

    Its output and errors are one stream of lines. The result is the last line, or None when there
    is none; with ``return_all`` a list of all.

    Args:
        command: The script, unless it is given when the task is called.
        env: Environment variables beside those of the worker.
        helper_script: A script that runs before the command in the same shell: functions, ``cd``.
        shell: The program that runs it.
        return_all: Return all lines.
        log_stderr: Log the output when the exit code is not 0: the last line, or all of them with
            ``return_all``.
        stream_output: Log each line as it comes; True means at ``INFO``, else say the level.
        **options: As ``Task`` has them, such as ``max_retries``.

    Raises:
        TypeError: ``stream_output`` names no level.
    """

    def __init__(
        self,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        helper_script: str | None = None,
        shell: str = "bash",
        return_all: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's order
        log_stderr: bool = False,  # noqa: FBT001, FBT002 - as above
        stream_output: bool | int | str = False,  # noqa: FBT001, FBT002 - as above
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.command = command
        self.env = env
        self.helper_script = helper_script
        self.shell = shell
        super().__init__(
            return_all=return_all, log_stderr=log_stderr, stream_output=stream_output, **options
        )

    def run(
        self,
        command: str | None = None,
        env: Mapping[str, str] | None = None,
        helper_script: str | None = None,
    ) -> str | list[str] | None:
        """Run the script.

        Raises:
            FAIL: Its exit code is not 0; the result is its output.
            TypeError: There is no command.
        """
        command = needed(self, "command", command, self.command)
        helper_script = self.helper_script if helper_script is None else helper_script
        env = self.env if env is None else env
        # In a file, as a long script does not fit into an argument, and is nobody's to see there.
        with tempfile.TemporaryDirectory(prefix="loopline-shell-") as folder:
            script = Path(folder, "script")
            script.write_text(f"{helper_script}\n{command}" if helper_script else command)
            return self._carry_out([self.shell, str(script)], env, None)


class ProcessTask(_Command):
    """Start a program with arguments; no shell reads them, so nothing needs to be quoted.

    Args:
        command: The program and its arguments.
        env: Environment variables beside those of the worker.
        folder: Where it starts; the worker's folder by default.
        return_all: As in ``ShellTask``.
        log_stderr: As in ``ShellTask``.
        stream_output: As in ``ShellTask``.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        folder: str | None = None,
        *,
        return_all: bool = False,
        log_stderr: bool = False,
        stream_output: bool | int | str = False,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.command = command
        self.env = env
        self.folder = folder
        super().__init__(
            return_all=return_all, log_stderr=log_stderr, stream_output=stream_output, **options
        )

    def run(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> str | list[str] | None:
        """Run the program.

        Raises:
            FAIL: Its exit code is not 0, or it is not there.
            TypeError: There is no command, or it is one text.
        """
        command = needed(self, "command", command, self.command)
        if isinstance(command, str):
            msg = f"The command is a list, program first: {command.split()}. A text is ShellTask's."
            raise TypeError(msg)
        try:
            return self._carry_out(
                [str(part) for part in command],
                self.env if env is None else env,
                self.folder if folder is None else folder,
            )
        except FileNotFoundError as error:
            msg = f"{error.filename} is not there. Give a program on the worker's PATH."
            raise FAIL(msg) from error


def _level(wanted: bool | int | str) -> int:  # noqa: FBT001 - Prefect 1's three kinds
    if isinstance(wanted, str):
        level = logging.getLevelName(wanted)
        if not isinstance(level, int):
            msg = f"stream_output={wanted!r} is no level of logging. Use one such as 'INFO'."
            raise TypeError(msg)
        return level
    return logging.INFO if wanted is True else int(wanted)


def _run(
    command: Sequence[str], env: Mapping[str, str], folder: str | None, take: Callable[[str], None]
) -> int:
    """Run a command in a process group of its own, to its end or ours; return its exit code."""
    with _started(command, env, folder) as process:
        pipe = cast("BinaryIO", process.stdout)
        for line in _lines(pipe, process):
            take(line)
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_S)


@contextmanager
def _started(
    command: Sequence[str], env: Mapping[str, str], folder: str | None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - what the flow's author wrote
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=folder,
        process_group=0,
    )
    try:
        yield process
    except BaseException:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.wait()
        cast("BinaryIO", process.stdout).close()


def _lines(pipe: BinaryIO, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Read lines until the pipe ends, or the command is over and nothing more is in it.

    What the command left in the background may hold the pipe open for ever.
    """
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            was_over = process.poll() is not None
            if not selector.select(0.0 if was_over else _LOOK_S):
                if was_over:
                    break
                continue
            data = os.read(pipe.fileno(), _CHUNK_BYTES)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace").rstrip() for line in lines)
    if rest:
        yield rest.decode(errors="replace").rstrip()
