"""Contracts: what every batch of a feed keeps to, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.warehouses.base import column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

__all__ = ["breaches", "breaches_of_schema", "is_schema"]

#: Failures of a schema that are told, of each check.
MOST_TOLD = 20


def is_schema(contract: object) -> bool:
    """Whether a contract is a Pandera schema, or anything else that validates a data frame."""
    return callable(getattr(contract, "validate", None))


def breaches(
    contract: Mapping[str, Mapping[str, Any]],
    columns: pa.Schema,
    ask: Callable[[str, dict[str, Any]], dict[str, Any]],
) -> list[str]:
    """Tell how rows break the rules of a contract.

    Args:
        contract: Rules by column.
        columns: Of the rows.
        ask: Answers aggregates over the rows: ``(SELECT list, values)`` to one row.
    """
    problems, asked, params = [], [], dict[str, Any]()
    told: list[tuple[str, str, str]] = []
    for name, rules in contract.items():
        if name not in columns.names:
            problems.append(f"column {name}: is missing")
            continue
        for rule, value in rules.items():
            mark = f"c{len(told)}"
            said = _rule(f"r.{column(name)}", rule, value, mark, params)
            if said is None:
                continue
            bad, words = said
            if rule == "unique":
                asked.append(
                    f"count(r.{column(name)}) - count(DISTINCT r.{column(name)}) AS {mark}"
                )
                asked.append(f"NULL AS {mark}x")
            else:
                asked.append(f"count(*) FILTER (WHERE {bad}) AS {mark}")
                asked.append(f"min(r.{column(name)}) FILTER (WHERE {bad}) AS {mark}x")
            told.append((mark, name, words))
    if not asked:
        return problems
    found = ask(", ".join(asked), params)
    for mark, name, words in told:
        if found[mark]:
            example = found[f"{mark}x"]
            such = "" if example is None else f", such as {example!r:.60}"
            problems.append(f"column {name}: {found[mark]:,} rows {words}{such}")
    return problems


def _rule(
    name: str,
    rule: str,
    value: Any,  # noqa: ANN401
    mark: str,
    params: dict[str, Any],
) -> tuple[str, str] | None:
    """Say a rule as the condition of a row that breaks it, and in words; None: it asks nothing."""
    match rule:
        case "not_null":
            return (f"{name} IS NULL", "have no value") if value else None
        case "unique":
            return ("", "have a value that another one has") if value else None
        case "min":
            params[mark] = value
            return f"{name} < ${mark}", f"lie below {value}"
        case "max":
            params[mark] = value
            return f"{name} > ${mark}", f"lie above {value}"
        case "allowed":
            marks = []
            for number, each in enumerate(value):
                params[f"{mark}_{number}"] = each
                marks.append(f"${mark}_{number}")
            return f"{name} NOT IN ({', '.join(marks)})", f"are none of {value!r:.200}"
        case "matches":
            params[mark] = value
            return f"NOT regexp_full_match({name}, ${mark})", f"do not match {value!r}"
    msg = f"A contract has no rule {rule!r}."
    raise InvalidInputError(msg)


def breaches_of_schema(schema: Any, rows: pa.Table) -> list[str]:  # noqa: ANN401 - Pandera's
    """Tell how rows break a schema that validates data frames."""
    frame = rows.to_pandas()
    try:
        schema.validate(frame, lazy=True)
    except Exception as error:  # noqa: BLE001 - whichever the library raises
        cases = getattr(error, "failure_cases", None)
        if cases is None:
            return [f"{type(error).__name__}: {error}"]
        found = []
        for (name, check), failed in cases.groupby(["column", "check"], dropna=False):
            example = failed["failure_case"].iloc[0]
            example = example.item() if hasattr(example, "item") else example
            found.append(
                f"column {name}: {len(failed):,} rows fail {check}, such as {example!r:.60}"
            )
        return found[:MOST_TOLD]
    return []
