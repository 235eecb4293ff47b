"""Notebooks as tasks: run by papermill with parameters, and kept with all their output."""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import MissingExtraError, NotFoundError
from loopline.flows.signals import FAIL
from loopline.records.base import Record
from loopline.settings import expanded
from loopline.tasks.given import needed
from loopline.tasks.shell import ProcessTask
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ExecuteNotebook", "ExecutedNotebook"]


class ExecutedNotebook(Record, frozen=True, kw_only=True):
    """A notebook that ran.

    Attributes:
        run_id: The run that has it; what the notebook itself logged is there, too.
        artifact: Its path among the run's files.
    """

    run_id: str
    artifact: str


class ExecuteNotebook(ProcessTask):
    """Run a notebook in a kernel of its own.

    It is kept with its output as a file of a run, also when a cell fails, and its parameters are
    the run's. ``start_run()`` in the notebook goes on with that run.

    Args:
        path: The notebook.
        parameters: Values for its cell with the tag ``parameters``; plain data.
        kernel_name: Instead of the kernel that the notebook names.
        run_name: The run's name; the notebook's by default.
        folder: Where the kernel starts; the notebook's folder by default.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        path: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        kernel_name: str = "",
        run_name: str = "",
        folder: str | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.path = path
        self.parameters = dict(parameters or {})
        self.kernel_name = kernel_name
        self.run_name = run_name
        super().__init__(folder=folder, return_all=True, **options)

    def run(  # type: ignore[override]
        self, path: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> ExecutedNotebook:
        """Run it.

        Raises:
            FAIL: A cell failed; the run has the notebook up to there.
            NotFoundError: There is no such notebook.
            MissingExtraError: papermill is not installed.
        """
        if find_spec("papermill") is None:
            raise MissingExtraError("papermill", extra="notebooks", purpose="ExecuteNotebook")
        source = Path(expanded(str(needed(self, "path", path, self.path)))).absolute()
        if not source.is_file():
            msg = f"There is no notebook {source}. A worker needs it at the same path."
            raise NotFoundError(msg)
        values = {**self.parameters, **(parameters or {})}
        with (
            tempfile.TemporaryDirectory(prefix="loopline-notebook-") as folder,
            start_run(run_name=self.run_name or source.stem) as run,
        ):
            run.log_params(values)
            done = Path(folder, source.name)
            try:
                self._carry_out(
                    self._command(source, done, Path(folder, "parameters.json"), values),
                    {"LOOPLINE_URI": get_recorder().address.text, "LOOPLINE_RUN_ID": run.run_id},
                    self.folder,
                )
            except FAIL as failure:
                msg = f"{source.name} failed; run {run.run_id} has it. {_last(failure.result)}"
                raise FAIL(msg) from None
            finally:
                if done.exists():
                    run.log_artifact(done)
            return ExecutedNotebook(run_id=run.run_id, artifact=source.name)

    def _command(
        self, source: Path, done: Path, file: Path, values: Mapping[str, Any]
    ) -> list[str]:
        file.write_text(json.dumps(dict(values)))  # Which is YAML, too.
        command = [
            sys.executable, "-m", "papermill", str(source), str(done),
            "--parameters_file", str(file), "--no-progress-bar", "--cwd",
            self.folder or str(source.parent),
        ]  # fmt: skip
        return [*command, "--kernel", self.kernel_name] if self.kernel_name else command


def _last(output: object) -> str:
    lines = [line for line in output if line.strip()] if isinstance(output, list) else []
    return lines[-1][:500] if lines else ""
