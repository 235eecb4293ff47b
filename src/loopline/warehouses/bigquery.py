"""BigQuery as the warehouse: the same SQL, read through the Storage API."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from loopline.errors import (
    BackendUnavailableError,
    InvalidInputError,
    MissingExtraError,
    NotFoundError,
)
from loopline.warehouses.base import CHUNK_SIZE, Answer, Warehouse
from loopline.warehouses.dialects import to_bigquery
from loopline.warehouses.given import fitting, given_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["BigQueryWarehouse"]


class BigQueryWarehouse(Warehouse):
    """A dataset of BigQuery's; credentials come from where Google's own tools take them."""

    def __init__(self, url: str, *, client: Any = None, storage: Any = None) -> None:  # noqa: ANN401
        """Take ``bigquery://project/dataset``, with ``?location=EU`` where that is needed.

        Args:
            url: Which project pays, and which dataset's tables need no other name.
            client: Of google-cloud-bigquery, instead of one made here.
            storage: A BigQueryReadClient, instead of one made here; False: read by REST, slowly.

        Raises:
            InvalidInputError: The URL does not name a project and a dataset.
            MissingExtraError: google-cloud-bigquery is not installed.
        """
        parts = urlsplit(url)
        dataset = parts.path.strip("/")
        if not parts.netloc or not dataset or "/" in dataset:
            msg = f"{url!r} does not name a dataset. Give bigquery://project/dataset."
            raise InvalidInputError(msg)
        try:
            from google.cloud import bigquery
        except ImportError:
            raise MissingExtraError(
                "google-cloud-bigquery", extra="bigquery", purpose="BigQuery as a warehouse"
            ) from None
        self.url = f"bigquery://{parts.netloc}/{dataset}"
        location = parse_qs(parts.query).get("location", [None])[0]
        self._client = client or bigquery.Client(project=parts.netloc, location=location)
        self._dataset = bigquery.DatasetReference(parts.netloc, dataset)
        self._storage = storage

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Ask one statement that answers rows; see ``Warehouse.query``."""
        table = self._ask(sql, params).to_arrow(**self._reading())
        return Answer(table, source=f"{self.url}: {sql.strip()}")

    def stream(
        self, sql: str, params: Mapping[str, Any] | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> Iterator[pa.RecordBatch]:
        """Ask, and give the rows in batches and in order: they come over one stream."""
        return self._chunked(self._ask(sql, params), chunk_size)

    def read(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        where: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        index: str | Sequence[str] = (),
        chunk_size: int = CHUNK_SIZE,
    ) -> Iterator[pa.RecordBatch]:
        """Read a table; without an order or condition no query is made, nor billed."""
        if where or index or chunk_size < 1:
            return super().read(
                table, columns, where, params=params, index=index, chunk_size=chunk_size
            )
        known = self.arrow_schema(table)
        unknown = sorted(set(columns or ()) - set(known.names))
        if unknown:
            hint = f"{table} has {', '.join(known.names)}."
            raise NotFoundError.among("column", unknown[0], known.names, hint=hint)
        with _telling(table):
            there = self._client.get_table(self._named(table))
            chosen = [each for each in there.schema if not columns or each.name in columns]
            found = self._client.list_rows(there, chosen)
        return self._chunked(found, chunk_size)

    def _chunked(self, found: Any, chunk_size: int) -> Iterator[pa.RecordBatch]:  # noqa: ANN401
        """Give rows of Google's in batches of one length; one stream keeps their order."""
        import pyarrow as pa

        held: list[pa.RecordBatch] = []
        rows = 0
        for came in self._batches(found):
            held.append(came)
            rows += came.num_rows
            while rows >= chunk_size:
                table = pa.Table.from_batches(held)
                yield table.slice(0, chunk_size).combine_chunks().to_batches()[0]
                held = table.slice(chunk_size).to_batches()
                rows -= chunk_size
        if rows:
            yield pa.Table.from_batches(held).combine_chunks().to_batches()[0]

    def append(self, table: str, data: Any) -> int:  # noqa: ANN401
        """Add rows in one load job, which is all or nothing."""
        return self._load(table, data, check=True, anew=False)

    def replace(self, table: str, data: Any, *, check: bool = True) -> int:  # noqa: ANN401
        """Put rows in the place of all there are, in one load job."""
        return self._load(table, data, check=check, anew=True)

    def tables(self) -> list[str]:
        """Name the tables and views of the dataset."""
        with _telling(self.url):
            return sorted(each.table_id for each in self._client.list_tables(self._dataset))

    def arrow_schema(self, table: str) -> pa.Schema:
        """Tell columns and types of a table."""
        import pyarrow as pa
        from google.api_core.exceptions import NotFound

        try:
            with _telling(table):
                found = self._client.get_table(self._named(table))
        except NotFound:
            known = self.tables()
            hint = f"{self.url} has {', '.join(known) or 'no tables yet'}."
            raise NotFoundError.among("table", table, known, hint=hint) from None
        return pa.schema([_arrow_field(field) for field in found.schema])

    def _load(self, table: str, data: Any, *, check: bool, anew: bool) -> int:  # noqa: ANN401
        from google.cloud import bigquery
        from pyarrow import parquet

        given = given_rows(data)
        name = self._named(table)
        try:
            known = self.arrow_schema(table)
        except NotFoundError:
            known = None
        checked = known if known is not None and (check or not anew) else None
        schema = given.schema if checked is None else checked
        if known is None:
            fields = [_bigquery_field(field) for field in schema]
            with _telling(table):
                self._client.create_table(bigquery.Table(name, schema=fields))
        mode = "WRITE_TRUNCATE" if anew else "WRITE_APPEND"
        settings = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition=mode)
        rows = 0
        with tempfile.TemporaryFile(suffix=".parquet") as file:
            with parquet.ParquetWriter(file, schema, coerce_timestamps="us") as writer:
                for part in fitting(given, checked, table=table):
                    writer.write_table(part)
                    rows += part.num_rows
            file.seek(0)
            with _telling(table):
                self._client.load_table_from_file(file, name, job_config=settings).result()
        return rows

    def _ask(self, sql: str, params: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - Google's
        from google.cloud import bigquery

        settings = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[_parameter(name, value) for name, value in (params or {}).items()],
        )
        with _telling(sql):
            return self._client.query(to_bigquery(sql), job_config=settings).result()

    def _batches(self, found: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - Google's
        if self._storage is False:
            for page in found.pages:
                yield from _table_of(found.schema, page).to_batches()
        else:
            yield from found.to_arrow_iterable(**self._reading(), max_stream_count=1)

    def _reading(self) -> dict[str, Any]:
        """Say how rows are read: through the Storage API, unless told otherwise."""
        if self._storage is False:
            return {"create_bqstorage_client": False}
        if self._storage is None:
            try:
                from google.cloud.bigquery_storage import BigQueryReadClient
            except ImportError:
                raise MissingExtraError(
                    "google-cloud-bigquery-storage", extra="bigquery", purpose="Reading BigQuery"
                ) from None
            # With the client's own credentials, as its ``to_arrow`` does.
            self._storage = BigQueryReadClient(credentials=self._client._credentials)  # noqa: SLF001
        return {"bqstorage_client": self._storage}

    def _named(self, table: str) -> Any:  # noqa: ANN401 - Google's
        from google.cloud import bigquery

        if "." not in table:
            return self._dataset.table(table)
        whole = table if table.count(".") > 1 else f"{self._dataset.project}.{table}"
        return bigquery.TableReference.from_string(whole)


class _telling:  # noqa: N801 - used as a statement
    """Tell what Google says as an error of ours; that something is not there passes through."""

    def __init__(self, about: str) -> None:
        self._about = " ".join(about.split())[:200]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from google.api_core import exceptions

        if isinstance(error, exceptions.NotFound):
            return
        if isinstance(error, exceptions.ClientError):
            msg = f"BigQuery refused {self._about!r}: {error.message}"
            raise InvalidInputError(msg) from None
        if isinstance(error, exceptions.ServerError | exceptions.RetryError):
            msg = f"BigQuery did not answer {self._about!r}: {error}. Try again later."
            raise BackendUnavailableError(msg) from None


def _table_of(schema: Any, page: Any) -> pa.Table:  # noqa: ANN401 - Google's
    import pyarrow as pa

    rows = [dict(row.items()) for row in page]
    return pa.Table.from_pylist(rows, pa.schema([_arrow_field(field) for field in schema]))


#: BigQuery's types in Arrow's words.
_ARROW = {
    "STRING": "string", "BYTES": "binary", "INTEGER": "int64", "INT64": "int64",
    "FLOAT": "float64", "FLOAT64": "float64", "BOOLEAN": "bool_", "BOOL": "bool_",
    "DATE": "date32",
}  # fmt: skip


def _arrow_field(field: Any) -> pa.Field:  # noqa: ANN401 - Google's
    import pyarrow as pa

    match field.field_type:
        case "TIMESTAMP":
            kind = pa.timestamp("us", tz="UTC")
        case "DATETIME":
            kind = pa.timestamp("us")
        case "TIME":
            kind = pa.time64("us")
        case "NUMERIC":
            kind = pa.decimal128(38, 9)
        case "BIGNUMERIC":
            kind = pa.decimal256(76, 38)
        case "RECORD" | "STRUCT":
            kind = pa.struct([_arrow_field(each) for each in field.fields])
        case known if known in _ARROW:
            kind = getattr(pa, _ARROW[known])()
        case _:
            kind = pa.string()
    if field.mode == "REPEATED":
        kind = pa.list_(kind)
    return pa.field(field.name, kind, nullable=field.mode != "REQUIRED")


def _bigquery_field(field: pa.Field) -> Any:  # noqa: ANN401 - Google's
    from google.cloud import bigquery
    from pyarrow import types

    kind = field.type
    tests = (
        (types.is_boolean, "BOOL"), (types.is_integer, "INT64"), (types.is_floating, "FLOAT64"),
        (types.is_decimal, "NUMERIC"), (types.is_date, "DATE"), (types.is_time, "TIME"),
        (types.is_string, "STRING"), (types.is_large_string, "STRING"),
        (types.is_dictionary, "STRING"), (types.is_binary, "BYTES"),
    )  # fmt: skip
    if types.is_timestamp(kind):
        return bigquery.SchemaField(field.name, "DATETIME" if kind.tz is None else "TIMESTAMP")
    for test, name in tests:
        if test(kind):
            return bigquery.SchemaField(field.name, name)
    msg = f"Column {field.name!r} is {kind}, which no table is made of here. Make the table first."
    raise InvalidInputError(msg)


def _parameter(name: str, value: Any) -> Any:  # noqa: ANN401 - one of Google's
    from datetime import date, datetime, time
    from decimal import Decimal

    from google.cloud import bigquery

    first = (value[0] if value else "") if isinstance(value, list | tuple) else value
    kind = "STRING"
    if isinstance(first, datetime):
        kind = "DATETIME" if first.tzinfo is None else "TIMESTAMP"
    else:
        for python, said in (
            (bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (Decimal, "NUMERIC"),
            (bytes, "BYTES"), (date, "DATE"), (time, "TIME"),
        ):  # fmt: skip
            if isinstance(first, python):
                kind = said
                break
    if isinstance(value, list | tuple):
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)
