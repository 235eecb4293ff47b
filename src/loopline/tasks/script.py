"""A script as a task: what ``loopline run`` sends to a worker or a machine in a cloud."""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.flows.signals import FAIL
from loopline.flows.task import Task
from loopline.tracking.local_modules import imports_of_source

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ScriptTask"]


class ScriptTask(Task):
    """Run a Python script as ``python script.py arguments`` would.

    The script's text and the local modules that it imports travel with the flow; other files do
    not. Runs that it starts are linked to the flow run, and what it prints is in the log.

    Args:
        source: The script's text.
        arguments: What it finds in ``sys.argv``.
        file_name: What it is called.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        source: str,
        arguments: Sequence[str] = (),
        *,
        file_name: str = "script.py",
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        self.source = source
        self.arguments = list(arguments)
        self.file_name = file_name
        #: Modules whose sources and packages go along.
        self.imports = sorted(set(imports_of_source(source.encode())))
        options.setdefault("name", Path(file_name).stem)
        options.setdefault("log_stdout", True)
        super().__init__(**options)

    def run(self) -> None:
        """Run it.

        Raises:
            FAIL: It ended by ``sys.exit`` with something other than 0.
            Exception: What it raises.
        """
        before = sys.argv
        with tempfile.TemporaryDirectory(prefix="loopline-script-") as folder:
            path = Path(folder, Path(self.file_name).name)
            path.write_text(self.source)
            sys.argv = [str(path), *self.arguments]
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as end:
                if end.code not in {None, 0}:
                    msg = f"{self.file_name} ended by sys.exit({end.code!r})."
                    raise FAIL(msg) from None
            finally:
                sys.argv = before
