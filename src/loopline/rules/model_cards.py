"""A model card: facts that are written anew each time, and parts that people write and keep."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.rules.words import count_words, duration_words, number_words, size_words, time_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.records.differences import Basis
    from loopline.records.reasons import Reasons
    from loopline.records.tracking import Dataset

__all__ = ["PEOPLE", "card", "written_by_people"]

#: What a person writes, and what to write there.
PEOPLE = {
    "Intended use": "What is it for, and who uses it? What must it not be used for?",
    "Limits and risks": "Where is it known to be wrong, and whom could that hurt?",
    "Contact": "Who answers questions about it?",
}
TO_WRITE = "TO BE WRITTEN"
BEGIN, END = "<!-- people: {} -->", "<!-- end: {} -->"
SAMPLES = "system/"
MOST_COLUMNS = 40
MOST_PARAMS = 100
#: Metrics such as ``rmse/borough=Queens`` or ``rmse[night]`` are of a slice of the rows.
_SLICE = re.compile(r"(?P<key>[^/\[=]+)(?:/(?P<name>[^/]+=.+)|\[(?P<other>.+)\])\Z")


def written_by_people(text: str) -> dict[str, str]:
    """Read what people wrote in a card, part by part; parts that were not touched are left out.

    Raises:
        InvalidInputError: A part is not marked, so that what people wrote cannot be told.
    """
    found = {}
    for name in PEOPLE:
        begin, end = BEGIN.format(name), END.format(name)
        _, is_there, rest = text.partition(begin)
        words, is_whole, _ = rest.partition(end)
        if not (is_there and is_whole):
            msg = (
                f"The file is there already and has no part between {begin} and {end}, so what "
                "people wrote in it would be lost. Put the marks back, or write to another file."
            )
            raise InvalidInputError(msg)
        if words.strip() and not words.strip().startswith(TO_WRITE):
            found[name] = words.strip("\n")
    return found


def card(basis: Basis, reasons: Reasons, people: Mapping[str, str]) -> str:
    """Write a model card as Markdown.

    Args:
        basis: What the version rests on.
        reasons: Why it is where it is.
        people: What people wrote, by the names in ``PEOPLE``; it is put back word for word.
    """
    version, run = reasons.version, basis.run
    parts = [f"# {_text(version.name)}, version {version.version}", ""]
    if version.description:
        parts += [_text(version.description), ""]
    for name, question in PEOPLE.items():
        words = people.get(name) or f"{TO_WRITE} by a person. {question}"
        parts += [f"## {name}", "", BEGIN.format(name), words, END.format(name), ""]
    parts += ["<!-- What follows is written anew each time. -->", ""]
    parts += _table("Facts", ("", ""), _facts(basis, reasons))
    parts += _table("Trained on", ("data", "digest", "rows", "for", "source"), _inputs(basis))
    parts += _table("Metrics", ("metric", "value"), _metrics(basis, of_slices=False))
    parts += _table("By slice", ("slice", "metric", "value"), _metrics(basis, of_slices=True))
    parts += _table(
        "Compared with the version before",
        ("run", "metric", "value"),
        [
            (one.name, key, number_words(summary.value))
            for one in reasons.compared
            for key, summary in sorted(one.metrics.items())
            if not key.startswith(SAMPLES)
        ],
    )
    parts += _table("Params", ("param", "value"), sorted(run.params.items())[:MOST_PARAMS])
    for one in basis.inputs:
        parts += _profile(one.dataset)
    return "\n".join(parts).rstrip() + "\n"


def _facts(basis: Basis, reasons: Reasons) -> list[tuple[str, str]]:
    version, run, environment = reasons.version, basis.run, basis.environment
    decision = reasons.decision
    state = environment.git if environment else None
    rows = [
        ("Stage", version.stage),
        ("Registered", f"{time_words(version.created_ms)} by {version.actor or 'somebody'}"),
        ("Decision", "" if decision is None else f"{decision.reason or 'no reason given'}"),
        ("Decided by", reasons.decided_by),
        ("Run", f"{run.name} ({run.run_id})"),
        ("Trained by", run.user),
        ("Trained at", time_words(run.start_ms)),
        ("Took", duration_words(run.duration_ms)),
        ("Code", "" if state is None else f"commit {state.commit} of {state.remote or state.root}"),
        ("Uncommitted changes", "" if state is None else "yes" if state.is_dirty else "no"),
        ("Python", "" if environment is None else environment.python.version),
        ("Size", size_words(version.size_bytes)),
        ("Digest", version.digest),
    ]
    return [(name, told) for name, told in rows if told]


def _inputs(basis: Basis) -> list[tuple[str, ...]]:
    return [
        (
            one.dataset.name,
            one.dataset.digest[:12],
            "" if one.dataset.rows is None else f"{one.dataset.rows:,}",
            one.context,
            one.dataset.source,
        )
        for one in basis.inputs
    ]


def _metrics(basis: Basis, *, of_slices: bool) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, summary in sorted(basis.run.metrics.items()):
        if key.startswith(SAMPLES):
            continue
        match = _SLICE.match(key)
        value = number_words(summary.value)
        if match and of_slices:
            rows.append((match["name"] or match["other"], match["key"], value))
        elif not match and not of_slices:
            rows.append((key, value))
    return rows


def _profile(data: Dataset) -> list[str]:
    rows = [
        (
            name,
            one.type,
            f"{one.nulls:,}",
            *(_said(value) for value in (one.min, one.mean, one.max)),
            ", ".join(item.value for item in one.top[:3]),
        )
        for name, one in list(data.profile.items())[:MOST_COLUMNS]
    ]
    more = len(data.profile) - len(rows)
    heads = ("column", "type", "nulls", "min", "mean", "max", "most frequent")
    lines = _table(f"Columns of {data.name}", heads, rows)
    if more > 0:
        lines += [f"And {count_words(more, 'more column')}.", ""]
    return lines


def _said(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else number_words(value)


def _table(heading: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return [f"## {_text(heading)}", "", *lines, ""]


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Keep a text on its line, and from being markup."""
    plain = " ".join(text.split())
    return re.sub(r"([<>`*\[\]\\])", r"\\\1", plain)
