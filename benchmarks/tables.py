"""Writes results as Markdown: best first, what was missed, who is better, who is missing."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.claims import BARE, LOOPLINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.claims import Claim, Measure, Result

__all__ = ["brief", "number", "table"]

NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
THREE_FIGURES = 100


def table(claim: Claim, result: Result) -> str:
    """Write a result as Markdown: best first, with ratios, misses and who is missing."""
    first = claim.measures[0]
    ours = next((row for row in result["rows"] if row["is"] == LOOPLINE), None)
    base = middle(ours, first.key) if ours else None

    def rank(row: Result) -> float:
        value = middle(row, first.key)
        if value is None:
            return float("inf")
        return -value if first.is_more_better else value

    heads = ["", "version", *(each.head for each in claim.measures), "to Loopline"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for row in sorted(result["rows"], key=rank):
        value = middle(row, first.key)
        ratio = number(value / base, 2) + TIMES if base and value is not None else NOTHING
        name = f"**{row['name']}**" if row["is"] == LOOPLINE else row["name"]
        cells = [
            name,
            row["version"] or NOTHING,
            *(cell(row, each) for each in claim.measures),
            ratio,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    found = result["machine"]
    lines += [
        "",
        (
            f"{found['date']}, Python {found['python']}, {found['system']}, {found['cpu']}, "
            f"load {found['load']}. Medians; in brackets the least and the greatest."
        ),
    ]
    lines += verdicts(claim, result)
    if result["missing"]:
        lines += ["", "Not measured:", ""]
        lines += [
            f"- {each['name']} {each['version']}: {each['why']}" for each in result["missing"]
        ]
    return "\n".join(lines) + "\n"


def cell(row: Result, each: Measure) -> str:
    """Write a median and, where there were several, the least and the greatest."""
    values = row["values"].get(each.key)
    if not values:
        return NOTHING
    text = number(statistics.median(values), each.digits)
    if len(values) > 1:
        text += f" ({number(min(values), each.digits)}{NOTHING}{number(max(values), each.digits)})"
    return text


def verdicts(claim: Claim, result: Result) -> list[str]:
    """Say of each thing to reach whether it was, and who is better than Loopline at all."""
    rows = {row["is"]: row for row in result["rows"]}
    ours, bare = rows.get(LOOPLINE), rows.get(BARE)
    if ours is None:
        return ["", "Loopline itself could not be measured."]
    lines = [""]
    for each in claim.measures:
        value = middle(ours, each.key)
        limit = middle(bare, each.key) if bare else None
        if value is None:
            continue
        if each.reach is not None:
            shown = value - (limit or 0) if each.above_bare else value
            is_reached = shown >= each.reach if each.is_more_better else shown <= each.reach
            sign = "≥" if each.is_more_better else "≤"
            above = " above the limit" if each.above_bare else ""
            lines.append(
                f"- {each.head}{above}: {number(shown, each.digits)}, claimed "
                f"{sign} {number(each.reach, each.digits)}: {told(is_reached)}"
            )
        if each.most_times_bare is not None and limit:
            lines.append(
                f"- {each.head}: {value / limit:.1f} times the limit, claimed "
                f"≤ {each.most_times_bare:g} times: {told(value / limit <= each.most_times_bare)}"
            )
        for peer, least in each.times:
            theirs = middle(rows[peer], each.key) if peer in rows else None
            if theirs:
                times = value / theirs if each.is_more_better else theirs / value
                lines.append(
                    f"- {each.head}: {number(times, 1)} times as good as {rows[peer]['name']}'s, "
                    f"claimed {number(least, 0)} times: {told(times >= least)}"
                )
    better = [text for each in claim.measures if (text := ahead(each, ours, rows))]
    return lines + better


def ahead(each: Measure, ours: Result, rows: dict[str, Result]) -> str:
    """Say which peers are better than Loopline at one thing; empty when none is."""
    value = middle(ours, each.key) if each.is_compared else None
    names = []
    for name, row in rows.items():
        theirs = middle(row, each.key)
        if value is None or theirs is None or name in {LOOPLINE, BARE}:
            continue
        if theirs > value if each.is_more_better else theirs < value:
            names.append(row["name"])
    return f"- {each.head}: **better than Loopline: {', '.join(names)}**" if names else ""


def told(is_reached: bool) -> str:  # noqa: FBT001 - a word for it
    """Say it plainly."""
    return "reached." if is_reached else "**missed.**"


def middle(row: Result, key: str) -> float | None:
    """Answer the median of what was measured of a row; None when it was not."""
    values = row["values"].get(key)
    return statistics.median(values) if values else None


def number(value: float, digits: int) -> str:
    """Write a number so that it can be read at a glance."""
    return f"{value:,.{0 if abs(value) >= THREE_FIGURES else digits}f}"


def brief(claim: Claim, found: Mapping[str, float]) -> str:
    """Say what was found, in a line."""
    return ", ".join(
        f"{number(found[each.key], each.digits)} {each.head}"
        for each in claim.measures
        if each.key in found
    )
