"""What differs between two runs or model versions: only that, and in words where it helps."""

from __future__ import annotations

import math
from difflib import unified_diff
from typing import TYPE_CHECKING

from loopline.records.differences import (
    Change,
    DataChange,
    Differences,
    FileChange,
    MetricChange,
    Side,
)
from loopline.rules.words import duration_words, number_words, size_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.records.differences import Basis
    from loopline.records.environment import Environment
    from loopline.records.tracking import ColumnProfile, Dataset, RunInput

__all__ = ["change_of_metric", "compare", "diff_of_sources", "same_number", "title_of"]

#: Columns with differing profiles that are told of one data version.
MOST_COLUMNS = 100
DIGITS = 12
UNCOMMITTED = "uncommitted changes"
#: Samples of the machine, which say nothing of the model.
SAMPLES = "system/"


def compare(a: Basis, b: Basis, *, files: Sequence[FileChange] = ()) -> Differences:
    """Compare what two runs or versions rest on and came to.

    Args:
        a: Before.
        b: After.
        files: What differs between their commits, by who has the repository.
    """
    return Differences(
        a=_side(a),
        b=_side(b),
        code=_code(a.environment, b.environment),
        files=[*files, *diff_of_sources(a, b)],
        data=_data(a.inputs, b.inputs),
        environment=_environment(a.environment, b.environment),
        params=_texts(a.run.params, b.run.params),
        metrics=_metrics(a, b),
        duration=_change("duration", _duration(a), _duration(b)),
        size=_change("size", size_words(a.size_bytes), size_words(b.size_bytes))
        if a.size_bytes != b.size_bytes
        else None,
    )


def title_of(basis: Basis) -> str:
    """Name one of the two as a person would."""
    version = basis.version
    if version is not None:
        return f"{version.name} v{version.version}"
    return basis.run.name or basis.run.run_id[:8]


def same_number(a: float, b: float) -> bool:
    """Tell whether two values are the same to the last digit; NaN is NaN."""
    return a == b or (math.isnan(a) and math.isnan(b))


def change_of_metric(key: str, before: float | None, after: float | None) -> MetricChange:
    """Put two values of a metric beside each other."""
    absolute = relative = None
    if before is not None and after is not None:
        absolute = after - before
        relative = absolute / abs(before) if before else None
    return MetricChange(key=key, before=before, after=after, absolute=absolute, relative=relative)


def diff_of_sources(a: Basis, b: Basis) -> list[FileChange]:
    """Compare the kept sources and what was in no commit, file by file."""
    before = {**a.sources, **({UNCOMMITTED: a.uncommitted} if a.uncommitted else {})}
    after = {**b.sources, **({UNCOMMITTED: b.uncommitted} if b.uncommitted else {})}
    changes = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, ""), after.get(path, "")
        if old != new:
            lines = unified_diff(
                _lines(old),
                _lines(new),
                f"a/{path}" if path in before else "/dev/null",
                f"b/{path}" if path in after else "/dev/null",
            )
            changes.append(FileChange(path=path, diff="".join(lines)))
    return changes


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.splitlines()]


def _side(basis: Basis) -> Side:
    run = basis.run
    return Side(title=title_of(basis), run_id=run.run_id, start_ms=run.start_ms, user=run.user)


def _change(name: str, before: object, after: object) -> Change | None:
    """Tell what differs; None when nothing does, and for two that are not there."""
    texts = [None if value in (None, "") else str(value) for value in (before, after)]
    return None if texts[0] == texts[1] else Change(name=name, before=texts[0], after=texts[1])


def _changes(*pairs: tuple[str, object, object]) -> list[Change]:
    return [found for pair in pairs if (found := _change(*pair)) is not None]


def _texts(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    keys = sorted(before.keys() | after.keys())
    # An empty text is a value, too: only what is not there is None.
    return [
        Change(name=key, before=before.get(key), after=after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _code(a: Environment | None, b: Environment | None) -> list[Change]:
    if a is None or b is None:
        return _changes(("recorded", "yes" if a else "no", "yes" if b else "no"))
    before, after = a.git, b.git
    return _changes(
        ("commit", before and before.commit[:DIGITS], after and after.commit[:DIGITS]),
        ("branch", before and before.branch, after and after.branch),
        ("uncommitted", _dirt(a), _dirt(b)),
        ("repository", before and before.remote, after and after.remote),
        ("source", a.source, b.source),
        ("command", " ".join(a.command[1:]), " ".join(b.command[1:])),
        ("folder", a.working_folder, b.working_folder),
    )


def _dirt(environment: Environment) -> str:
    state = environment.git
    return "" if state is None else "yes" if state.is_dirty else "no"


def _environment(a: Environment | None, b: Environment | None) -> list[Change]:
    if a is None or b is None:
        return []
    return [
        *_changes(
            ("Python", a.python.version, b.python.version),
            ("system", a.machine.system, b.machine.system),
            ("architecture", a.machine.architecture, b.machine.architecture),
            ("processor", a.machine.cpu.model, b.machine.cpu.model),
            ("processors to use", a.machine.cpu.usable, b.machine.cpu.usable),
            ("GPUs", _gpus(a), _gpus(b)),
            ("CUDA", a.machine.cuda, b.machine.cuda),
        ),
        *_texts(a.variables, b.variables),
        *_texts(a.python.packages, b.python.packages),
    ]


def _gpus(environment: Environment) -> str:
    return ", ".join(gpu.name for gpu in environment.machine.gpus)


def _metrics(a: Basis, b: Basis) -> list[MetricChange]:
    before = {key: one.value for key, one in a.run.metrics.items()}
    after = {key: one.value for key, one in b.run.metrics.items()}
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if key.startswith(SAMPLES):
            continue
        if old is None or new is None or not same_number(old, new):
            changes.append(change_of_metric(key, old, new))
    return changes


def _duration(basis: Basis) -> str:
    return duration_words(basis.run.duration_ms)


# --- data ---------------------------------------------------------------------------------------


def _data(before: Sequence[RunInput], after: Sequence[RunInput]) -> list[DataChange]:
    """Pair what was read for the same purpose: by digest, then by name, then in order."""
    old, new = list(before), list(after)
    pairs: list[tuple[RunInput | None, RunInput | None]] = []
    for same in (_by_digest, _by_name, _by_context):
        for one in list(old):
            other = next((each for each in new if same(one, each)), None)
            if other is not None:
                old.remove(one)
                new.remove(other)
                if same is not _by_digest:
                    pairs.append((one, other))
    pairs += [(one, None) for one in old]
    pairs += [(None, other) for other in new]
    return [_data_change(*pair) for pair in pairs]


def _by_context(a: RunInput, b: RunInput) -> bool:
    return a.context == b.context


def _by_digest(a: RunInput, b: RunInput) -> bool:
    return _by_context(a, b) and a.dataset.digest == b.dataset.digest


def _by_name(a: RunInput, b: RunInput) -> bool:
    return _by_context(a, b) and a.dataset.name == b.dataset.name


def _data_change(a: RunInput | None, b: RunInput | None) -> DataChange:
    before = None if a is None else a.dataset
    after = None if b is None else b.dataset
    some = b or a
    assert some is not None  # noqa: S101 - one of the two is there
    return DataChange(
        name=some.dataset.name,
        context=some.context,
        changes=_changes(
            ("name", before.name if before else "", after.name if after else ""),
            ("digest", before and before.digest[:DIGITS], after and after.digest[:DIGITS]),
            ("source", before and before.source, after and after.source),
            ("rows", before and _count(before.rows), after and _count(after.rows)),
            ("columns", *_column_names(before, after)),
            ("size", before and _size(before), after and _size(after)),
        ),
        columns={} if before is None or after is None else _profiles(before, after),
    )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _size(data: Dataset) -> str:
    return "" if data.size_bytes is None else size_words(data.size_bytes)


def _column_names(a: Dataset | None, b: Dataset | None) -> tuple[str, str]:
    """Name the columns that only one of two has."""
    before, after = set(a.columns if a else ()), set(b.columns if b else ())
    if a is None or b is None:
        return "", ""
    return ", ".join(sorted(before - after)), ", ".join(sorted(after - before))


def _profiles(a: Dataset, b: Dataset) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for name in a.columns:
        if name in b.columns and len(found) < MOST_COLUMNS:
            changes = _column(
                a.columns[name], b.columns[name], a.profile.get(name), b.profile.get(name)
            )
            if changes:
                found[name] = changes
    return found


def _column(
    type_a: str, type_b: str, a: ColumnProfile | None, b: ColumnProfile | None
) -> list[Change]:
    changes = _changes(("type", type_a, type_b))
    if a is None or b is None:
        return changes
    return changes + _changes(
        ("nulls", f"{a.nulls:,}", f"{b.nulls:,}"),
        ("mean", _said(a.mean), _said(b.mean)),
        ("deviation", _said(a.std), _said(b.std)),
        ("min", _said(a.min), _said(b.min)),
        ("max", _said(a.max), _said(b.max)),
        ("different values", _count(a.distinct), _count(b.distinct)),
        ("top values", *_top(a, b)),
    )


def _top(a: ColumnProfile, b: ColumnProfile) -> tuple[str, str]:
    """Name the frequent values that only one of two has."""
    before, after = ([item.value for item in one.top] for one in (a, b))
    return (
        ", ".join(value for value in before if value not in after),
        ", ".join(value for value in after if value not in before),
    )


def _said(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else number_words(value)
