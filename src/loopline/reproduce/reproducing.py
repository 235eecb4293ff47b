"""Running a run again: its code, its data, its environment, its command; then, how alike?"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.backend.open import open_backend
from loopline.backend.recorder import get_recorder
from loopline.errors import LooplineError, UnsupportedError
from loopline.records.operations import (
    GetFlow,
    GetFlowRun,
    GetMetricHistory,
    GetRun,
    ListArtifacts,
)
from loopline.records.reproduction import Reproduction
from loopline.reproduce import environments
from loopline.reproduce.basis import CELLS, KEPT, gather
from loopline.reproduce.code import Checkout, check_out, remove
from loopline.reproduce.flow_process import ASSIGNMENT, FlowAssignment
from loopline.reproduce.inputs import check_all_there, find_data, place_data
from loopline.reproduce.recording import lend_data, record_in
from loopline.reproduce.running import inherited, run_again
from loopline.rules.differences import compare, title_of
from loopline.rules.reproduction import (
    Places,
    first_difference,
    map_command,
    map_path,
    outcome_of,
    variables_for,
    verdict_of,
)
from loopline.settings import parse_address
from loopline.tracking.environment.machine import read_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopline.backend.protocol import Backend
    from loopline.backend.recorder import Recorder
    from loopline.records.differences import Basis
    from loopline.records.environment import Environment
    from loopline.records.reproduction import DataFound, MetricOutcome
    from loopline.records.tracking import Run
    from loopline.reproduce.environments import Made

__all__ = ["TOLERANCE", "Wishes", "reproduce"]

#: Relative; sums in another order differ by less.
TOLERANCE = 1e-6
#: Samples of the machine, which say nothing of the model.
SAMPLES = "system/"
#: A reproduction has these otherwise by its nature.
OURS = frozenset({"PYTHONPATH", "loopline", *environments.TOOLS})


class Wishes(NamedTuple):
    """How to run it again.

    Attributes:
        tolerance: Relative difference of two values that still counts as within.
        same_environment: Use this interpreter instead of making the recorded environment.
        keep: Keep the folder with code, store and output.
        command: Run this instead of what was recorded.
        cells: Run the kept cells of a notebook as a script.
        passed: Names of variables that the process gets from this one.
        timeout_s: How long the run may take; None: for ever.
    """

    tolerance: float = TOLERANCE
    same_environment: bool = False
    keep: bool = False
    command: str = ""
    cells: bool = False
    passed: tuple[str, ...] = ()
    timeout_s: float | None = None


class _Plan(NamedTuple):
    """What is run, where, and with what."""

    command: list[str]
    folder: Path
    variables: dict[str, str]
    notes: list[str]


def reproduce(
    which: str,
    wishes: Wishes | None = None,
    *,
    uri: str | None = None,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Reproduction:
    """Run a run again, in a folder and a store of its own, and compare the metrics.

    The code is that of whoever ran the original; it is executed because you ask for it. What it
    records, registers and promotes lands in that store alone; then its run is brought beside
    the original, tagged ``loopline.reproduction_of``.

    Args:
        which: A run's id or name, or a version such as ``"models:/taxifare_model/3"``.
        wishes: How.
        uri: Where the run is recorded; None: where this process records.
        say: Told each step.

    Returns:
        How it came out, metric by metric.

    Raises:
        UnsupportedError: It cannot be run again; the message says what is missing.
        IntegrityError: Data or code are not what they were.
        NotFoundError: There is no such run.
    """
    wishes = wishes or Wishes()
    recorder = get_recorder(uri)
    recorder.catch_up()
    basis = gather(recorder.backend, which)
    with _scratch(keep=wishes.keep) as scratch:
        return _Reproduction(recorder, basis, scratch, wishes, say).carry_out()


@contextmanager
def _scratch(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="loopline-reproduce-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


class _Reproduction:
    """One run that is run again."""

    def __init__(
        self,
        recorder: Recorder,
        basis: Basis,
        scratch: Path,
        wishes: Wishes,
        say: Callable[[str], None],
    ) -> None:
        self._recorder = recorder
        self._basis = basis
        self._scratch = scratch
        self._wishes = wishes
        self._say = say
        self._title = title_of(basis)

    def carry_out(self) -> Reproduction:
        run, environment = self._basis.run, self._basis.environment
        if environment is None:
            msg = (
                f"Nothing is recorded of the environment of run {run.run_id}, so it cannot be run "
                "again: it came through another client, or with LOOPLINE_NO_CAPTURE=1."
            )
            raise UnsupportedError(msg)
        data = find_data(self._recorder, self._basis.inputs)
        check_all_there(data)
        for one in data:
            self._say(f"Data: {one.name} ({one.digest[:12]}): {_data_words(one)}")
        checkout = check_out(self._basis, self._scratch / "code")
        try:
            self._say(f"Code: of {run.user or 'somebody'}, {checkout.said}")
            return self._run(environment, checkout, data)
        finally:
            if not self._wishes.keep:
                with suppress(LooplineError):
                    remove(checkout)

    def _run(
        self, environment: Environment, checkout: Checkout, data: list[DataFound]
    ) -> Reproduction:
        folders = _moved_folders(environment, checkout)
        moved = {**folders, **place_data(data, folders)}
        imported = {
            name: str(place)
            for name, folder in environment.python.folders.items()
            if (place := _importable(folder, moved)) is not None
        }
        made = self._environment(environment, imported)
        self._say(f"Environment: {made.said} ({made.seconds:.1f} s)")
        plan = self._plan(environment, checkout, made, moved, list(imported.values()))
        self._say(f"Command: {shlex.join(plan.command)}")
        store = self._scratch / "store"
        lend_data(self._recorder, store, self._basis.inputs)
        ran = run_again(
            self._basis.run,
            plan.command,
            folder=plan.folder,
            variables=plan.variables,
            store=store,
            log=self._scratch / "output.log",
            timeout_s=self._wishes.timeout_s,
        )
        sandbox = open_backend(parse_address(str(store)))
        try:
            outcomes = self._outcomes(sandbox, ran.run)
            verdict = verdict_of(outcomes)
            record_in(
                self._recorder,
                sandbox,
                ran.run,
                self._basis.run,
                tags={"loopline.reproduction": verdict.value},
                status=ran.run.status,
            )
        finally:
            sandbox.close()
        backend = self._recorder.backend
        after = gather(backend, ran.run.run_id)
        found = compare(self._basis, after)
        ours = OURS | environment.python.folders.keys()
        files, identical = _same_files(backend, self._basis.run, ran.run)
        notes = [*checkout.notes, *made.notes, *plan.notes, *ran.notes]
        if not outcomes:
            notes.append("The original has no metric, so there is nothing to compare but files.")
        return Reproduction(
            original=self._basis.run.run_id,
            run_id=ran.run.run_id,
            title=self._title,
            verdict=verdict,
            first_difference=first_difference(
                found, outcomes, self._basis.run, backend.call(GetRun(run_id=ran.run.run_id)),
                ours=ours,
            ),
            code=checkout.said,
            user=self._basis.run.user,
            python=made.python,
            environment=made.said,
            environment_seconds=made.seconds,
            command=plan.command,
            folder=str(self._scratch) if self._wishes.keep else "",
            seconds=ran.seconds,
            data=data,
            metrics=outcomes,
            files=files,
            files_identical=identical,
            notes=notes,
        )  # fmt: skip

    def _environment(self, environment: Environment, imported: dict[str, str]) -> Made:
        if self._wishes.same_environment:
            return environments.own(environment.python)
        self._say("Environment: looking for the recorded packages")
        return environments.make(environment.python, self._recorder.home, imported)

    def _plan(
        self,
        environment: Environment,
        checkout: Checkout,
        made: Made,
        moved: dict[str, str],
        imported: list[str],
    ) -> _Plan:
        folder = checkout.folder
        mapped = map_path(environment.working_folder, moved)
        if mapped is not None:
            folder = Path(mapped)
            folder.mkdir(parents=True, exist_ok=True)
        places = Places(moved=moved, folder=str(checkout.folder), programs=made.programs)
        notes: list[str] = []
        command = self._flow_command(made.python)
        if self._wishes.command:
            command = shlex.split(self._wishes.command)
            if command and Path(command[0]).name.startswith("python"):
                command[0] = made.python
            notes.append("The command is another than the recorded one.")
        elif self._wishes.cells:
            command = [made.python, str(self._cells(checkout))]
            notes.append("The cells ran in the order in which they were run.")
        elif command is None:
            command = map_command(environment, places, made.python, list(self._basis.sources))
        chosen, more = variables_for(environment, read_machine().cpu.usable)
        paths = [
            map_path(path, moved) or path
            for path in chosen.pop("PYTHONPATH", "").split(":")
            if path
        ]
        search = list(dict.fromkeys([*paths, *imported, str(checkout.folder)]))
        variables = {
            **inherited(self._wishes.passed),
            **chosen,
            "PYTHONPATH": ":".join(search),
        }
        return _Plan(command, folder, variables, [*notes, *more])

    def _cells(self, checkout: Checkout) -> Path:
        name = Path(CELLS).name
        if name not in self._basis.sources:
            msg = "No cells of a notebook were kept with this run. Leave --cells out."
            raise UnsupportedError(msg)
        return checkout.folder / name

    def _flow_command(self, python: str) -> list[str] | None:
        """Write down the flow's registered version, to be run anew; None: there is none."""
        run = self._basis.run
        if not run.flow_run_id:
            return None
        backend = self._recorder.backend
        flow_run = backend.call(GetFlowRun(flow_run_id=run.flow_run_id))
        if not flow_run.flow_version_id:
            return None  # Run by `flow.run()`: whatever called that is run again.
        version = backend.call(GetFlow(flow_version_id=flow_run.flow_version_id))
        if version.code is None:
            msg = f"The flow {version.name!r} was registered without code. Give a --command."
            raise UnsupportedError(msg)
        folder = self._scratch / "flow"
        folder.mkdir()
        for digest in filter(None, (version.code.blob, version.code.bundle)):
            (folder / digest).write_bytes(b"".join(backend.read_blob(digest)))
        assignment = FlowAssignment(code=version.code, parameters=flow_run.parameters)
        (folder / ASSIGNMENT).write_bytes(msgspec.json.encode(assignment))
        self._say(f"Flow: {version.project}/{version.name}, version {version.version}")
        return [python, "-m", "loopline.reproduce.flow_process", str(folder)]

    def _outcomes(self, sandbox: Backend, run: Run) -> list[MetricOutcome]:
        outcomes = []
        for key in sorted(self._basis.run.metrics):
            if key.startswith(SAMPLES):
                continue
            ask = GetMetricHistory(run_id=self._basis.run.run_id, key=key)
            before = self._recorder.backend.call(ask)
            after = None
            if key in run.metrics:
                after = sandbox.call(GetMetricHistory(run_id=run.run_id, key=key))
            outcomes.append(outcome_of(key, before, after, self._wishes.tolerance))
        return outcomes


def _moved_folders(environment: Environment, checkout: Checkout) -> dict[str, str]:
    """Say which folders of the original are now where."""
    if environment.git is not None:
        return {environment.git.root: str(checkout.folder)}
    folders = {environment.working_folder, str(Path(environment.source).parent)}
    plain = {"", ".", "/", str(Path.home())}
    return {folder: str(checkout.folder) for folder in folders - plain}


def _importable(folder: str, moved: dict[str, str]) -> Path | None:
    """Find from where a package that was installed from a folder is imported now."""
    mapped = map_path(folder, moved)
    if mapped is None:
        return None
    inside = Path(mapped) / "src"
    return inside if inside.is_dir() else Path(mapped)


def _same_files(backend: Backend, before: Run, after: Run) -> tuple[int, int]:
    """Count the original's own files, and those that came out with the same bytes."""
    old, new = (
        {
            file.path: file.sha256
            for file in backend.call(ListArtifacts(run_id=run.run_id, recursive=True))
            if not file.is_dir and not file.path.startswith((f"{KEPT}/", "datasets/"))
        }
        for run in (before, after)
    )
    return len(old), sum(new.get(path) == digest for path, digest in old.items())


def _data_words(one: DataFound) -> str:
    return {
        "source": "unchanged where they were",
        "snapshot": "the kept bytes",
        "code": "made by the code; compared afterwards",
    }[one.how]
