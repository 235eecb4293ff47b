"""A feed: data that grow, and exactly which of their rows a model has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.backend.context import current_task
from loopline.backend.recorder import get_recorder
from loopline.errors import (
    BatchRefusedError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)
from loopline.feeds.contracts import breaches, breaches_of_schema, is_schema
from loopline.feeds.keys import KeptKeys
from loopline.feeds.places import place_of
from loopline.feeds.report import make_report
from loopline.feeds.rows import FeedRows
from loopline.feeds.seen import lineage_of, seen_by_lineage, seen_by_version
from loopline.feeds.sources import IngestedSource, KeyedSource, OwnSource
from loopline.feeds.statistics import describe_arrival
from loopline.records.feeds import Arrival, FeedSpec, RefusedBatch
from loopline.records.operations import (
    AddArrival,
    EnsureFeed,
    GetFeed,
    ListArrivals,
    ListRefusals,
    RefuseBatch,
)
from loopline.rules.feeds import changes_of_columns
from loopline.rules.watermarks import Box, intersect, subtract
from loopline.warehouses.open import warehouse as open_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    import pyarrow as pa

    from loopline.feeds.sources import Found, Source
    from loopline.records.feeds import FeedReport, RegisteredFeed
    from loopline.records.registry import ModelVersion
    from loopline.rules.watermarks import Region
    from loopline.warehouses.base import Warehouse

__all__ = ["Feed"]

#: How often one looks again when others find the same rows at the same time.
TRIES = 20
#: Arrivals asked for at a time.
PAGE = 10_000


class Feed:
    """Data that grow: a table of its own, or one of a warehouse that others write.

    Rows are numbered in the order they arrive. What a model has seen is read from the runs that
    made its versions: a run that logs rows of the feed for training has seen them.

    Args:
        name: Of the feed.
        source: A warehouse, or its URL: a DuckDB file, a folder or bucket with Parquet or CSV
            files, BigQuery. Nothing: a table that the feed owns, in the home's warehouse.
        table: Name of the table there; the feed's own name, or all files of a folder.
        own: The feed owns the table; so it is when there is no source.
        order_by: Column with a row's place in time (or a number, or text).
        key: Columns that tell a row from all others: late rows are found by it.
        ingested_at: Column with the time at which a row came into the table.
        contract: What every batch keeps to: rules by column (``{"fare": {"not_null": True, "min":
            0}}``; there are not_null, min, max, allowed, unique, matches), or a Pandera schema.
        max_gap: A longer stretch of ``order_by`` without rows is reported; seconds, or a timedelta.
        project: Whose it is: roles on the project are roles on the feed.

    What is not said stays as the store has it.

    Raises:
        InvalidInputError: Nothing says which rows are new, so it could not be exact.
        ConflictError: It has rows already that were told in another way.

    Example:
        >>> taxi = loopline.Feed("taxi", order_by="pickup_datetime")
        >>> taxi.append(trips)
        >>> with loopline.start_run():
        ...     new = taxi.new_for("taxifare_model")
        ...     loopline.log_input(new, context="training")
        ...     model.fit(new.to_pandas())
    """

    def __init__(  # noqa: PLR0913 - a feed is what these say
        self,
        name: str,
        source: str | Warehouse = "",
        *,
        table: str = "",
        own: bool | None = None,
        order_by: str = "",
        key: str | Sequence[str] = (),
        ingested_at: str = "",
        contract: Any = None,  # noqa: ANN401 - rules or somebody's schema
        max_gap: float | timedelta | None = None,
        project: str = "",
    ) -> None:
        self._recorder = get_recorder()
        self._schema = contract if is_schema(contract) else None
        try:
            known: RegisteredFeed | None = self._recorder.call(GetFeed(name=name))
        except NotFoundError:
            known = None
        given = open_warehouse(source) if source else None
        spec = FeedSpec(source="", table="") if known is None else known.spec
        if given is not None or known is None:
            chosen = given or open_warehouse()
            is_own = own if own is not None else not source
            there = table or (name if is_own or chosen.url.startswith(("duckdb", "big")) else "")
            spec = msgspec.structs.replace(
                spec, source=chosen.url, table=there or "files", own=is_own
            )
        changes: dict[str, Any] = {
            "table": table, "order_by": order_by, "ingested_at": ingested_at,
            "key": [key] if isinstance(key, str) and key else list(key),
        }  # fmt: skip
        changes = {field: value for field, value in changes.items() if value}
        if contract is not None:
            changes["contract"] = {} if self._schema is not None else dict(contract)
            changes["has_code_contract"] = self._schema is not None
        if max_gap is not None:
            seconds = max_gap if isinstance(max_gap, int | float) else max_gap.total_seconds()
            changes["max_gap_s"] = float(seconds)
        spec = msgspec.structs.replace(spec, **changes)
        if known is None or spec != known.spec or project:
            ensured = EnsureFeed(name=name, project=project, spec=spec)
            spec = self._recorder.call(ensured).spec
        self.name = name
        self.spec = spec
        self._arrivals: list[Arrival] = []
        self._keys = KeptKeys(self._recorder)
        self._source = self._opened(given or open_warehouse(spec.source))

    def _opened(self, warehouse: Warehouse) -> Source:
        if self.spec.own:
            return OwnSource(warehouse, self.spec)
        if self.spec.key:
            return KeyedSource(warehouse, self.spec, self._keys.fetch, self._keys.folder)
        return IngestedSource(warehouse, self.spec)

    def __repr__(self) -> str:
        return f"loopline.Feed({self.name!r})"

    # --- rows come in ---

    def append(self, data: Any, *, name: str = "") -> Arrival:  # noqa: ANN401 - anything with columns
        """Add rows to a feed that owns its table: all of them, or none.

        Args:
            data: Anything with columns: pandas, Polars, Arrow, a mapping, a list of mappings.
            name: What the batch is called if it is refused.

        Raises:
            BatchRefusedError: It breaks the contract or has other columns; it is kept.
            UnsupportedError: Others write the table.
        """
        if not isinstance(self._source, OwnSource):
            msg = (
                f"The feed {self.name!r} reads {self.spec.table!r} of {self.spec.source}, which "
                "others write. Write there; feed.check() finds what is new."
            )
            raise UnsupportedError(msg)
        from loopline.data.digest import table_digest
        from loopline.warehouses.given import given_rows
        from loopline.warehouses.schemas import fitted, problems_of

        rows = _whole(given_rows(data))
        content = table_digest(rows)
        if self._source.is_there():
            columns = self._source.arrow_schema()
            if problems := problems_of(rows, columns):
                self._refuse(rows, problems, name, content)
            rows = fitted(rows, columns, table=self.name)
        if problems := self._breaches_of(rows):
            self._refuse(rows, problems, name, content)
        if not rows.num_rows:
            msg = "The batch has no rows. Append one that has."
            raise InvalidInputError(msg)
        first, count = self._source.write(rows)
        while (arrival := self.check(content=(first, count, content))) is not None:
            if arrival.first + arrival.rows >= first + count:
                return arrival
        for each in self._arrivals:
            if each.first + each.rows >= first + count:
                return each
        msg = f"The rows are in {self.name!r}, and could not be found yet. Look: feed.check()"
        raise ConflictError(msg)

    def check(self, *, content: tuple[int, int, str] | None = None) -> Arrival | None:
        """Look for new rows, and tell the store of them: automations hear of it.

        Returns:
            What arrived; None when nothing did.

        Raises:
            IntegrityError: The source is not what it was said to be, so it cannot be exact.
            BatchRefusedError: The new rows break the contract; none of them enters the feed.
        """
        for _ in range(TRIES):
            arrivals = self._known()
            with self._source.warehouse.reading():
                found = self._source.find_new(arrivals)
                if not found.rows:
                    return None
                arrival = self._looked_at(found, arrivals, content)
            try:
                self._recorder.call(AddArrival(name=self.name, arrival=arrival))
            except ConflictError:
                continue  # Somebody else found them: what is new beyond those?
            return self._known()[arrival.number - 1]
        msg = f"Others find rows of {self.name!r} again and again. Try again later."
        raise ConflictError(msg)

    def _looked_at(
        self, found: Found, arrivals: list[Arrival], content: tuple[int, int, str] | None
    ) -> Arrival:
        first = arrivals[-1].first + arrivals[-1].rows if arrivals else 0
        task = current_task.get()
        arrival = Arrival(
            number=len(arrivals) + 1,
            first=first,
            rows=found.rows,
            ingested_until=found.ingested_until,
            keys=self._keys.keep(found.keys) if found.keys else "",
            columns=self._columns(),
            flow_run_id=task.flow_run_id if task is not None else "",
            content=content[2] if content and content[:2] == (first, found.rows) else "",
        )
        before = arrivals[-1].columns if arrivals else {}
        with_it = [*arrivals, arrival]
        new = (Box(first=first, stop=first + found.rows),)
        if not self.spec.own:
            from loopline.data.digest import table_digest

            rows = FeedRows(self.name, new, self._source, tuple(with_it))
            if problems := self._breaches_in(rows):
                self._refuse(rows.table, problems, "", table_digest(rows.table))
        return msgspec.structs.replace(
            describe_arrival(self._source, arrival, with_it, found.duplicates),
            changes=changes_of_columns(before, arrival.columns),
        )

    def _known(self) -> list[Arrival]:
        """Get all arrivals; those that were got before are not asked for again."""
        while True:
            after = len(self._arrivals)
            asked = ListArrivals(name=self.name, after=after, limit=PAGE)
            came = self._recorder.call(asked)
            self._arrivals += came
            if len(came) < PAGE:
                return list(self._arrivals)

    def _columns(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self._source.arrow_schema()}

    # --- the contract ---

    def _check_contract_is_here(self) -> None:
        if self.spec.has_code_contract and self._schema is None:
            msg = (
                f"The contract of {self.name!r} is a schema in code. Give it: "
                f"loopline.Feed({self.name!r}, contract=...); without one, contract={{}}."
            )
            raise InvalidInputError(msg)

    def _breaches_of(self, rows: pa.Table) -> list[str]:
        """Tell how rows in memory break the contract."""
        self._check_contract_is_here()
        if self._schema is not None:
            return breaches_of_schema(self._schema, rows)
        if not self.spec.contract:
            return []
        import duckdb

        with duckdb.connect() as connection:
            connection.register("r", rows)

            def ask(what: str, params: dict[str, Any]) -> dict[str, Any]:
                found = connection.sql(f"SELECT {what} FROM r", params=params or None)  # noqa: S608
                row: dict[str, Any] = found.to_arrow_table().to_pylist()[0]
                return row

            return breaches(self.spec.contract, rows.schema, ask)

    def _breaches_in(self, rows: FeedRows) -> list[str]:
        """Tell how rows of the source break the contract, without bringing them here."""
        self._check_contract_is_here()
        if self._schema is not None:
            return breaches_of_schema(self._schema, rows.table)
        if not self.spec.contract:
            return []
        return breaches(self.spec.contract, self._source.arrow_schema(), rows.aggregate)

    def _refuse(self, rows: pa.Table, problems: list[str], name: str, content: str) -> None:
        """Keep a batch where people can look at it, and refuse it."""
        from loopline.data.snapshots import snapshot
        from loopline.data.versions import dataset

        if content:
            known = self._recorder.call(ListRefusals(name=self.name, limit=1000))
            for each in known:
                if each.content == content:
                    raise BatchRefusedError(self.name, each.batch, problems)
        version = dataset(rows, name=name or f"{self.name} refused", source=f"feed:{self.name}")
        batch = name or f"{self.name} {(content or version.digest)[:12]}"
        kept = snapshot(version)
        refused = RefusedBatch(
            batch=batch, rows=rows.num_rows, problems=problems, content=version.digest,
            run_id=kept.run_id,
        )  # fmt: skip
        noted = self._recorder.call(RefuseBatch(name=self.name, refused=refused))
        raise BatchRefusedError(self.name, noted.batch, problems)

    # --- rows go out ---

    def new_for(
        self, model: str, *, versions: Iterable[int] | None = None, check: bool = True
    ) -> FeedRows:
        """Find exactly the rows that no training run behind the model's Production has seen.

        Behind it are the version in Production now, and those that were there before its first
        time there. Without any, all rows are new.

        Args:
            model: A registered model.
            versions: Which versions count, instead of these.
            check: Look for rows that arrived meanwhile first; it needs the right to edit.

        Raises:
            InvalidInputError: What one of the versions has seen is not known.
        """
        everything = self._everything(check=check)
        chosen = lineage_of(self._recorder, model) if versions is None else list(versions)
        seen = seen_by_lineage(self._recorder, self.name, model, chosen)
        return self._rows(subtract(everything, seen))

    def seen_by(self, model: str | ModelVersion, version: int | None = None) -> FeedRows:
        """Find the rows that the run of a model version logged as training input.

        Args:
            model: A model version, or the name of a model.
            version: Its number; without one, all versions behind Production.
        """
        name = model if isinstance(model, str) else model.name
        if not isinstance(model, str):
            version = model.version
        everything = self._everything(check=False)
        if version is None:
            chosen = lineage_of(self._recorder, name)
            seen = seen_by_lineage(self._recorder, self.name, name, chosen)
        else:
            seen = seen_by_version(self._recorder, self.name, name, version)
        return self._rows(intersect(everything, seen))

    def all(self, *, check: bool = True) -> FeedRows:
        """Give all rows that have arrived."""
        return self._rows(self._everything(check=check))

    def window(
        self,
        since: Any = None,  # noqa: ANN401 - a value of ``order_by``
        until: Any = None,  # noqa: ANN401
        *,
        check: bool = True,
    ) -> FeedRows:
        """Give the rows whose place lies from ``since`` to before ``until``.

        Args:
            since: A value of ``order_by``, such as ``"2022-03-01"``; None: from the beginning,
                with the rows that have no place.
            until: None: to the end.
            check: As in ``new_for``.
        """
        if not self.spec.order_by:
            msg = f"The feed {self.name!r} has no order. Make it with order_by=..."
            raise InvalidInputError(msg)
        everything = self._everything(check=check)
        if not everything:
            return self._rows(())
        kind = self._source.arrow_schema().field(self.spec.order_by).type
        box = msgspec.structs.replace(
            everything[0], since=place_of(since, kind), until=place_of(until, kind)
        )
        return self._rows(() if box.is_empty else (box,))

    def _everything(self, *, check: bool) -> Region:
        if check:
            self.check()
        arrivals = self._known()
        stop = arrivals[-1].first + arrivals[-1].rows if arrivals else 0
        return (Box(first=0, stop=stop),) if stop else ()

    def _rows(self, region: Region) -> FeedRows:
        return FeedRows(self.name, region, self._source, tuple(self._arrivals))

    # --- what is to be known ---

    def arrivals(self) -> list[Arrival]:
        """List what arrived, oldest first."""
        return self._known()

    def report(self) -> FeedReport:
        """Tell of late rows, duplicates, gaps, changed columns and refused batches."""
        arrivals = self._known()
        with self._source.warehouse.reading():
            return make_report(self._recorder, self.name, self._source, arrivals)


def _whole(given: Any) -> pa.Table:  # noqa: ANN401 - Given
    import pyarrow as pa

    parts: Mapping[str, Any] | list[pa.Table] = list(given.tables)
    return pa.concat_tables(parts) if parts else given.schema.empty_table()
