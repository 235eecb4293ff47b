"""SQL written once, in DuckDB's dialect, for other engines."""

from __future__ import annotations

from typing import Any

from loopline.errors import InvalidInputError, MissingExtraError, UnsupportedError

__all__ = ["to_bigquery"]


def to_bigquery(sql: str) -> str:
    """Say one statement of DuckDB's in BigQuery's dialect; ``$name`` becomes ``@name``.

    Aggregates with FILTER, which BigQuery does not have, become conditions inside the aggregate.

    Raises:
        InvalidInputError: It is no statement, or several.
        UnsupportedError: BigQuery has no word for a part of it.
        MissingExtraError: sqlglot is not installed.
    """
    try:
        import sqlglot
        from sqlglot import exp
    except ImportError:
        purpose = "Asking BigQuery in DuckDB's dialect"
        raise MissingExtraError("sqlglot", extra="bigquery", purpose=purpose) from None
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="duckdb") if tree is not None]
    except sqlglot.ParseError as error:
        msg = f"{sql.strip()[:200]!r} is no SQL of DuckDB's: {error}"
        raise InvalidInputError(msg) from None
    if len(trees) != 1:
        msg = f"Give one statement, not {len(trees)}: {sql.strip()[:100]!r}."
        raise InvalidInputError(msg)
    tree: Any = trees[0].transform(_without_filter)
    for kind, advice in (
        (exp.PercentileCont, "approx_quantiles, or the quantile over the rows you read"),
        (exp.PercentileDisc, "approx_quantiles, or the quantile over the rows you read"),
        (exp.Quantile, "approx_quantiles, or the quantile over the rows you read"),
        (exp.ReadParquet, "a table"),
        (exp.ReadCSV, "a table"),
    ):
        if found := tree.find(kind):
            msg = f"BigQuery has no {found.sql(dialect='duckdb')}. Use {advice}."
            raise UnsupportedError(msg)
    try:
        return str(tree.sql(dialect="bigquery", unsupported_level=sqlglot.ErrorLevel.RAISE))
    except sqlglot.UnsupportedError as error:
        msg = f"BigQuery cannot answer {sql.strip()[:200]!r}: {error}"
        raise UnsupportedError(msg) from None


def _without_filter(node: Any) -> Any:  # noqa: ANN401 - sqlglot's
    from sqlglot import exp

    if not isinstance(node, exp.Filter):
        return node
    condition, aggregate = node.expression.this, node.this
    if isinstance(aggregate, exp.Count) and isinstance(aggregate.this, exp.Star):
        return exp.CountIf(this=condition)
    inside = aggregate.this
    if isinstance(inside, exp.Distinct):
        inside.set("expressions", [_if(condition, each) for each in inside.expressions])
    else:
        aggregate.set("this", _if(condition, inside))
    return aggregate


def _if(condition: Any, value: Any) -> Any:  # noqa: ANN401 - sqlglot's
    from sqlglot import exp

    return exp.If(this=condition.copy(), true=value.copy(), false=exp.Null())
