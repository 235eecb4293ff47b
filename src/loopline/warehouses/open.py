"""Finding the warehouse that a URL means."""

from __future__ import annotations

from pathlib import Path

from loopline.backend.recorder import current_home
from loopline.blobs.objects import is_bucket_url
from loopline.errors import InvalidInputError
from loopline.warehouses.base import Warehouse

__all__ = ["FILE", "warehouse"]

#: The warehouse in a home.
FILE = "warehouse.duckdb"
_DATABASES = (".duckdb", ".db", ".ddb")


def warehouse(url: str | Path | Warehouse = "", *, wait_s: float = 30.0) -> Warehouse:
    """Open a warehouse: tables in DuckDB, in files, or in BigQuery, behind one interface.

    Args:
        url: Nothing: the DuckDB file of the home. A path that ends with ``.duckdb``, or
            ``duckdb:///path``: that file. A folder, a file, or an ``s3://``, ``gs://`` or ``az://``
            prefix: the Parquet and CSV files there. ``bigquery://project/dataset``: BigQuery.
        wait_s: Seconds to wait for a DuckDB file that another process has open.

    Raises:
        InvalidInputError: The URL is none of these.
        MissingExtraError: The engine's package is not installed.

    Example:
        >>> taxi = loopline.warehouse()
        >>> taxi.append("trips", trips)
        >>> taxi.query("SELECT avg(fare_amount) FROM trips WHERE hour > $h", {"h": 20}).to_pandas()
    """
    from loopline.warehouses.duck import DuckDBWarehouse
    from loopline.warehouses.files import FilesWarehouse

    if isinstance(url, Warehouse):
        return url
    text = str(url)
    if not text:
        return DuckDBWarehouse(current_home() / FILE, wait_s=wait_s)
    if text.startswith("duckdb://"):
        path = text.removeprefix("duckdb://")
        return DuckDBWarehouse(Path(path or current_home() / FILE), wait_s=wait_s)
    if text.startswith("bigquery://"):
        from loopline.warehouses.bigquery import BigQueryWarehouse

        return BigQueryWarehouse(text)
    if is_bucket_url(text) or text.startswith("file://"):
        return FilesWarehouse(text)
    if "://" in text:
        msg = (
            f"{text!r} is no warehouse. Give a DuckDB file (duckdb:///path), a folder, a bucket "
            "(s3://, gs://, az://) or bigquery://project/dataset."
        )
        raise InvalidInputError(msg)
    if text.endswith(_DATABASES):
        return DuckDBWarehouse(Path(text), wait_s=wait_s)
    return FilesWarehouse(text)
