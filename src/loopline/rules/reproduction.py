"""Running a run again, as rules: what is run where, which run it became, how alike they are."""

from __future__ import annotations

import posixpath
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import UnsupportedError
from loopline.records.reproduction import Likeness, MetricOutcome, Verdict
from loopline.rules.differences import same_number
from loopline.rules.redaction import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from loopline.records.differences import Differences
    from loopline.records.environment import Environment
    from loopline.records.tracking import MetricHistory, Run

__all__ = [
    "NUMBER",
    "RANDOM",
    "Places",
    "choose_run",
    "first_difference",
    "map_command",
    "map_path",
    "outcome_of",
    "variables_for",
    "verdict_of",
]

#: Tags of a run: which of its process's runs it is, and its random numbers at the start.
NUMBER = "loopline.run_number"
RANDOM = "loopline.random_state"
#: Options of the interpreter that take the next argument as their value.
_VALUED = frozenset({"-X", "-W", "--check-hash-based-pycs"})
#: What runs a command of ours.
OURS = ["-m", "loopline.cli"]
#: What a person started a notebook's kernel or a worker's process with is not the code.
_NO_COMMAND = (
    "ipykernel_launcher",
    "ipykernel",
    "loopline.worker.process",
    "loopline.worker.zygote",
)
#: What says how many threads a numeric library may use.
THREADS = "OMP_NUM_THREADS"


class Places(NamedTuple):
    """Where things were, and where they are now; paths are absolute.

    Attributes:
        moved: New paths by old ones: the repository, the data.
        folder: Where to run when the old working folder has not moved along.
        programs: Paths of the commands that the new environment has, by name.
    """

    moved: Mapping[str, str]
    folder: str
    programs: Mapping[str, str] = MappingProxyType({})


def map_path(path: str, moved: Mapping[str, str]) -> str | None:
    """Say where a path is now: the longest of what moved counts; None: it did not move."""
    for old in sorted(moved, key=len, reverse=True):
        if path == old:
            return moved[old]
        if path.startswith(f"{old.rstrip('/')}/"):
            return posixpath.join(moved[old], posixpath.relpath(path, old))
    return None


def map_command(
    environment: Environment, places: Places, python: str, sources: Sequence[str] = ()
) -> list[str]:
    """Write the recorded command line for where things are now.

    Args:
        environment: Of the original.
        places: Where things are.
        python: The interpreter to run it with.
        sources: Kept sources that lie in ``places.folder``.

    Raises:
        UnsupportedError: It cannot be run again as it was; the message says why.
    """
    old = environment.command
    if environment.source_type == "NOTEBOOK":
        msg = (
            "It was run from a notebook, and a notebook's cells may be run in any order. Add "
            "--cells to run those that were kept, in the order they were run, as a script."
        )
        raise UnsupportedError(msg)
    if any(HIDDEN in part for part in old):
        msg = (
            "A part of its command line was kept out of the record, as it looked like a secret: "
            f"{' '.join(old)}. Give the whole command with --command."
        )
        raise UnsupportedError(msg)
    options, rest = _split(old[1:])
    if not rest or any(name in " ".join(rest[:2]) for name in _NO_COMMAND):
        msg = (
            "It was started at a prompt or by another program, so no command is recorded that "
            "would run it again. Give one with --command."
        )
        raise UnsupportedError(msg)
    if rest[0] in {"-m", "-c"}:
        head, tail = rest[:2], rest[2:]
    else:
        head, tail = _script(rest[0], environment, places, sources), rest[1:]
    kept = sources if head == OURS else ()
    arguments = [_argument(part, environment, places, kept) for part in tail]
    return [python, *options, *head, *arguments]


def _argument(part: str, environment: Environment, places: Places, sources: Sequence[str]) -> str:
    """Map an argument; ``loops/taxi.py:loop`` of a command of ours is a source that was kept."""
    file, colon, name = part.partition(":")
    kept = posixpath.basename(file)
    if kept.endswith(".py") and kept in sources:
        return f"{posixpath.join(places.folder, kept)}{colon}{name}"
    return _map_argument(part, environment.working_folder, places.moved)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the interpreter's own options from what it ran."""
    place = 0
    while place < len(arguments):
        part = arguments[place]
        if part in {"-m", "-c"} or not part.startswith("-"):
            break
        place += 2 if part in _VALUED else 1
    return list(arguments[:place]), list(arguments[place:])


def _script(
    name: str, environment: Environment, places: Places, sources: Sequence[str]
) -> list[str]:
    path = posixpath.normpath(posixpath.join(environment.working_folder, name))
    programs = posixpath.join(environment.python.prefix, "bin")
    if posixpath.dirname(path) == programs:
        program = posixpath.basename(path)
        if program == "loopline":
            return OURS
        if program in places.programs:
            return [places.programs[program]]
        msg = (
            f"It was started as the command {program!r} of a package that the environment made "
            "anew does not have. Give another command with --command."
        )
        raise UnsupportedError(msg)
    found = map_path(path, places.moved)
    if found is not None:
        return [found]
    if posixpath.basename(path) in sources:
        return [posixpath.join(places.folder, posixpath.basename(path))]
    msg = (
        f"Its script, {path}, is in no repository that was recorded and was not kept either. "
        "Give a command that runs the same with --command."
    )
    raise UnsupportedError(msg)


def _map_argument(part: str, folder: str, moved: Mapping[str, str]) -> str:
    """Map a path that stands as an argument, or behind the sign of an option."""
    name, sign, value = part.partition("=")
    if sign and name.startswith("-"):
        return f"{name}={_map_argument(value, folder, moved)}"
    if not posixpath.isabs(part):
        # What is relative stays so, but where the data themselves went elsewhere.
        return moved.get(posixpath.normpath(posixpath.join(folder, part)), part)
    return map_path(part, moved) or part


def variables_for(environment: Environment, threads: int) -> tuple[dict[str, str], list[str]]:
    """Choose the variables that the process is to have, as recorded.

    Args:
        environment: Of the original.
        threads: Processors this machine gives.

    Returns:
        The variables, and what may make a difference.
    """
    chosen = dict(environment.variables)
    notes = []
    if "PYTHONHASHSEED" not in chosen:
        notes.append(
            "PYTHONHASHSEED was not set, so the order of sets of texts is another in each process."
        )
    recorded = environment.machine.cpu.usable
    if recorded and recorded != threads:
        said = f"The original had {recorded} processors to use, and there are {threads} here"
        if THREADS in chosen:
            notes.append(f"{said}.")
        else:
            chosen[THREADS] = str(recorded)
            notes.append(f"{said}: {THREADS}={recorded} is set.")
    return chosen, notes


# --- which run it became ------------------------------------------------------------------------


def choose_run(original: Run, runs: Sequence[Run]) -> Run | None:
    """Choose which of the runs that a command made is the original's counterpart.

    Its number in the process decides, for a program does the same things in the same order; where
    no number was recorded, task and params do.

    Args:
        original: The run that was run again.
        runs: Those there are by now.
    """
    number = original.tags.get(NUMBER)
    if number and not original.flow_run_id:
        return next((run for run in runs if run.tags.get(NUMBER) == number), None)
    of_task = [run for run in runs if run.task_slug == original.task_slug]
    alike = [run for run in of_task if run.params == original.params]
    if len(alike) > 1 and number:
        alike = [run for run in alike if run.tags.get(NUMBER) == number] or alike
    if alike:
        return alike[0]
    if number:
        return next((run for run in of_task if run.tags.get(NUMBER) == number), None)
    return None


# --- how alike ----------------------------------------------------------------------------------


def outcome_of(
    key: str,
    before: MetricHistory,
    after: MetricHistory | None,
    tolerance: float,
) -> MetricOutcome:
    """Compare a metric's two histories, value by value in the order of their steps.

    Args:
        key: The metric.
        before: The original's history.
        after: The reproduction's; None when it has none.
        tolerance: Relative: two values are within it when they differ by at most this part of
            the original's.
    """
    last = before.values[-1]
    if after is None or not len(after):
        return MetricOutcome(key=key, before=last, likeness=Likeness.MISSING)
    first = None
    likeness = Likeness.IDENTICAL
    pairs = zip(before.steps, before.values, after.steps, after.values, strict=False)
    for step, old, step_after, new in pairs:
        if step == step_after and same_number(old, new):
            continue
        first = step if first is None else first
        if step != step_after or not _is_within(old, new, tolerance):
            likeness = Likeness.DIFFERENT
            break
        likeness = Likeness.WITHIN
    if len(before) != len(after) and likeness is not Likeness.DIFFERENT:
        likeness = Likeness.DIFFERENT
        longer = before if len(before) > len(after) else after
        first = longer.steps[min(len(before), len(after))] if first is None else first
    return MetricOutcome(
        key=key, before=last, after=after.values[-1], likeness=likeness, first_step=first
    )


def _is_within(old: float, new: float, tolerance: float) -> bool:
    return abs(new - old) <= tolerance * abs(old)


def verdict_of(metrics: Sequence[MetricOutcome]) -> Verdict:
    """Sum up: the worst of the metrics."""
    kinds = {one.likeness for one in metrics}
    if kinds & {Likeness.DIFFERENT, Likeness.MISSING}:
        return Verdict.DIFFERENT
    return Verdict.WITHIN if Likeness.WITHIN in kinds else Verdict.IDENTICAL


def first_difference(
    found: Differences,
    metrics: Sequence[MetricOutcome],
    before: Run,
    after: Run,
    *,
    ours: Container[str] = (),
) -> str:
    """Name what differs first, in the order in which one thing follows from the other.

    Code comes first, then data, packages, variables, params, random numbers, and the metric that
    parts earliest. Empty when all metrics are identical.

    Args:
        found: What differs between the two runs.
        metrics: How alike their metrics are.
        before: The original.
        after: The reproduction.
        ours: Packages and variables that a reproduction has otherwise by its nature.
    """
    parted = [one for one in metrics if one.likeness is not Likeness.IDENTICAL]
    if not parted:
        return ""
    causes = [
        *(f"code: {change.name}" for change in found.code if change.name == "commit"),
        # What only one has is what started it, not what it did.
        *(f"code: {one.path}" for one in found.files if "/dev/null" not in one.diff[:200]),
        *(f"data: {one.name} ({_how(one.changes)})" for one in found.data),
        *(
            f"environment: {one.name} was {one.before or 'not there'} and is "
            f"{one.after or 'not there'}"
            for one in found.environment
            if one.name not in ours
        ),
        *(f"param {one.name}: {one.before!r} and {one.after!r}" for one in found.params),
    ]
    if before.tags.get(RANDOM) != after.tags.get(RANDOM):
        causes.append("random numbers: the generators stood elsewhere when the run began")
    at = min(parted, key=lambda one: (one.first_step is None, one.first_step or 0, one.key))
    said = f"metric {at.key}"
    if at.likeness is Likeness.MISSING:
        said += " is missing"
    elif at.first_step is not None:
        said += f" at step {at.first_step}"
    return f"{causes[0]}; then {said}" if causes else said


def _how(changes: Sequence[object]) -> str:
    return ", ".join(getattr(change, "name", "") for change in changes) or "not read"
