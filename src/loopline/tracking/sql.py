"""SQL on the store, to a table: MLflow's table names, read-only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, MissingExtraError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.store.sql import SqlAnswer

__all__ = ["sql", "sql_on"]


def sql(statement: str, parameters: Sequence[Any] = (), *, output_format: str = "auto") -> Any:  # noqa: ANN401 - a DataFrame or a list
    """Run a statement that reads, such as ``"SELECT name, status FROM runs"``.

    Tables are MLflow's: ``experiments``, ``runs``, ``params``, ``tags``, ``latest_metrics``,
    ``metrics`` (every point), ``datasets``, ``inputs``, ``registered_models``,
    ``model_versions``.

    Args:
        statement: SQL in the words of the store's database.
        parameters: Values for its ``?`` (SQLite) or ``%s`` (PostgreSQL).
        output_format: ``"pandas"``, ``"polars"``, ``"list"`` (of dicts), or ``"auto"``: a
            DataFrame when pandas or Polars is there.

    Raises:
        InvalidInputError: It does not read, or the database does not understand it.
        UnsupportedError: The store is behind a server, which answers no SQL.
    """
    recorder = get_recorder()
    recorder.catch_up()
    answer = sql_on(recorder.backend, statement, parameters)
    return _table(answer.columns, answer.rows, output_format)


def sql_on(backend: Backend, statement: str, parameters: Sequence[Any] = ()) -> SqlAnswer:
    """Run a statement that reads on an open backend; see ``sql``."""
    from loopline.backend.local import LocalBackend

    if not isinstance(backend, LocalBackend):
        msg = (
            f"SQL runs where the store is, not through the server at {backend.address}. Run it on "
            "that machine, or give the database's own address: LOOPLINE_URI=postgresql://…"
        )
        raise UnsupportedError(msg)
    return backend.run_sql(statement, parameters)


def _table(names: list[str], rows: list[tuple[Any, ...]], output_format: str) -> Any:  # noqa: ANN401
    kind = output_format
    if kind == "auto":
        kind = next((each for each in ("pandas", "polars") if find_spec(each)), "list")
    if kind == "list":
        return [dict(zip(names, row, strict=True)) for row in rows]
    try:
        if kind == "pandas":
            import pandas as pd

            return pd.DataFrame.from_records(rows, columns=names)
        if kind == "polars":
            import polars as pl

            return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    except ImportError:
        raise MissingExtraError(kind, extra="demo", purpose="A DataFrame") from None
    msg = f"output_format must be auto, pandas, polars or list, not {output_format!r}."
    raise InvalidInputError(msg)
