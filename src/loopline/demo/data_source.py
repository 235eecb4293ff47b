"""Where the demo's months of trips come from: a folder, the cache, TLC's site, a simulated city.

The months are TLC's trip records of New York's green taxis, open data of the City of New York.
Either all months are real or all are simulated, and a simulated file says so in itself, so that
no folder of them can pass for the real thing.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from loopline.demo.download import DownloadError, download, is_reachable
from loopline.errors import LooplineError, MissingExtraError, NotFoundError
from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from loopline.demo.download import Progress

__all__ = ["SIMULATED_KEY", "TAXI_MONTHS", "Months", "TaxiData", "find_files", "find_taxi_data"]

#: The demo's months, in order: before and after the fare increase of December 2022.
TAXI_MONTHS = ("2022-01", "2022-02", "2022-03", "2023-01", "2023-02", "2023-03", "2023-04")

#: Where TLC publishes its monthly files.
TLC_URL = "https://d37ci6vzurychx.cloudfront.net/trip-data"

#: Marks a simulated file, in the metadata of its Parquet schema.
SIMULATED_KEY = b"loopline.simulated"

#: Columns without which a file is not a month of green-taxi trips.
COLUMNS = {
    "lpep_pickup_datetime",
    "lpep_dropoff_datetime",
    "PULocationID",
    "DOLocationID",
    "passenger_count",
    "trip_distance",
    "fare_amount",
}


#: Held while the cache is filled.
_filling = Lock()


class TaxiData(NamedTuple):
    """Months of trips, one Parquet file each.

    Attributes:
        folder: Where the files lie.
        is_simulated: Whether the trips were made up.
        months: Such as ``"2022-01"``, in order.
    """

    folder: Path
    is_simulated: bool
    months: tuple[str, ...] = TAXI_MONTHS

    @property
    def origin(self) -> str:
        """What the trips are, in words for tables, tags and pictures."""
        return "simulated city" if self.is_simulated else "TLC green-taxi trips"

    @property
    def address(self) -> str:
        """Where they are: what finds them again."""
        return str(self.folder)

    def read(self, month: str, columns: Sequence[str]) -> pd.DataFrame:
        """Read columns of a month's trips."""
        import pandas as pd

        return pd.read_parquet(self.path(month), columns=list(columns))

    def path(self, month: str) -> Path:
        """Tell which file holds a month."""
        return self.folder / _file_name(month)

    def count_rows(self, month: str) -> int:
        """Read how many trips a month's file has, dirty ones included."""
        from pyarrow import parquet

        return int(parquet.read_metadata(self.path(month)).num_rows)

    def dataset(self, month: str) -> Dataset:
        """Describe a month as a data version: its file's hash, rows and columns."""
        import hashlib

        from pyarrow import parquet

        path = self.path(month)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        schema = parquet.read_schema(path)
        return Dataset(
            name=f"green taxi {month}{' (simulated city)' if self.is_simulated else ''}",
            digest=digest,
            source=str(path),
            rows=self.count_rows(month),
            columns={field.name: str(field.type) for field in schema},
        )


class Months(Protocol):
    """Months of trips, wherever they are: ``TaxiData`` has them in files."""

    @property
    def address(self) -> str:
        """Where they are: what ``find_taxi_data`` finds them by."""

    @property
    def is_simulated(self) -> bool:
        """Whether the trips were made up."""

    @property
    def origin(self) -> str:
        """What the trips are, in words for tables, tags and pictures."""

    @property
    def months(self) -> tuple[str, ...]:
        """Such as ``"2022-01"``, in order."""

    def count_rows(self, month: str) -> int:
        """Tell how many trips a month has, dirty ones included."""

    def read(self, month: str, columns: Sequence[str]) -> pd.DataFrame:
        """Read columns of a month's trips, in the order in which they were published."""

    def dataset(self, month: str) -> Dataset:
        """Describe a month as a data version."""


def find_taxi_data(
    folder: str | os.PathLike[str] | None = None,
    *,
    announce: Callable[[str], None] = print,
    on_progress: Progress | None = None,
) -> Months:
    """Find the months of trips, fetching or making them when there are none.

    In this order: ``folder`` or else ``LOOPLINE_TAXI_DATA``; the cache in
    ``$XDG_CACHE_HOME/loopline/taxi`` (``~/.cache``); TLC's site (or ``LOOPLINE_TAXI_URL``), into
    the cache; a simulated city, after saying why.

    Args:
        folder: Holds ``green_tripdata_YYYY-MM.parquet``, directly or in ``green/``; or a DuckDB
            warehouse that ``loopline demo taxifare --warehouse`` filled (``duckdb:///…``).
        announce: Told in one line what is fetched or made, and why.
        on_progress: Told of each piece that arrives while downloading.

    Raises:
        NotFoundError: The folder was named, and a month is missing or unreadable in it.
        MissingExtraError: pyarrow is not installed.
    """
    _need_pyarrow()
    if str(folder).startswith("duckdb://"):
        from loopline.demo.warehouse_months import open_months

        return open_months(str(folder))
    return find_files(folder, announce=announce, on_progress=on_progress)


def find_files(
    folder: str | os.PathLike[str] | None = None,
    *,
    announce: Callable[[str], None] = print,
    on_progress: Progress | None = None,
) -> TaxiData:
    """Find the months as ``find_taxi_data`` does, but as files only."""
    _need_pyarrow()
    named = folder or os.environ.get("LOOPLINE_TAXI_DATA")
    if named:
        return _open_folder(Path(named).expanduser())
    cache = _cache_folder()
    try:
        with _filling:  # Two tasks of a flow may ask at once; one fetches for both.
            cache.mkdir(parents=True, exist_ok=True)
            missing = [month for month in TAXI_MONTHS if _trouble(cache / _file_name(month))]
            if missing and not _fetch(missing, cache, announce, on_progress):
                return _simulate(cache, announce)
            return TaxiData(cache, is_simulated=False)
    except OSError as error:
        msg = (
            f"The months of trips cannot be kept in {cache}: {error}. "
            "Set XDG_CACHE_HOME to a folder that can be written, or give --data DIR."
        )
        raise LooplineError(msg) from error


def _open_folder(named: Path) -> TaxiData:
    """Take a folder the user named; every month must be there."""
    files = {month: named / _file_name(month) for month in TAXI_MONTHS}
    folder = named
    if not any(path.exists() for path in files.values()) and (named / "green").is_dir():
        folder = named / "green"
    if not folder.is_dir():
        msg = f"There is no folder {named}. Give --data (or LOOPLINE_TAXI_DATA) one with {_WANTED}."
        raise NotFoundError(msg)
    troubles = [
        f"{_file_name(month)} {trouble}"
        for month in TAXI_MONTHS
        if (trouble := _trouble(folder / _file_name(month)))
    ]
    if troubles:
        msg = (
            f"In {folder}: {'; '.join(troubles)}. The demo needs {_WANTED}; "
            f"TLC publishes them under {TLC_URL}/. Without --data it fetches them itself."
        )
        raise NotFoundError(msg)
    simulated = any(_is_simulated(folder / _file_name(month)) for month in TAXI_MONTHS)
    return TaxiData(folder.resolve(), is_simulated=simulated)


def _fetch(
    months: list[str],
    cache: Path,
    announce: Callable[[str], None],
    on_progress: Progress | None,
) -> bool:
    """Download months into the cache; tell whether all of them came."""
    base = (os.environ.get("LOOPLINE_TAXI_URL") or TLC_URL).rstrip("/")
    host = urlsplit(base).hostname or base
    try:
        is_reachable(base)
        announce(f"Fetching {len(months)} months of green-taxi trips from {host}")
        for month in months:
            name = _file_name(month)
            download(f"{base}/{name}", cache / name, check=_trouble, on_progress=on_progress)
    except DownloadError as error:
        announce(
            f"No trips from {host} ({error}): using a simulated city instead. "
            "For real trips give --data DIR with TLC's monthly files."
        )
        return False
    return True


def _simulate(cache: Path, announce: Callable[[str], None]) -> TaxiData:
    """Make the simulated city's months, unless an earlier run did."""
    from loopline.demo.simulated_city import CITY_VERSION, write_month

    folder = cache / f"simulated-{CITY_VERSION}"
    folder.mkdir(exist_ok=True)
    missing = [month for month in TAXI_MONTHS if _trouble(folder / _file_name(month))]
    if missing:
        announce(f"Making {len(missing)} months of trips of a simulated city")
    for month in missing:
        write_month(month, folder / _file_name(month))
    return TaxiData(folder, is_simulated=True)


def _trouble(path: Path) -> str:
    """Tell what is wrong with a month's file, or nothing."""
    import pyarrow
    from pyarrow import parquet

    if not path.exists():
        return "is missing"
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic != b"PAR1":
            return "is not a Parquet file"
        footer = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    with footer:
        lacking = COLUMNS - set(footer.schema_arrow.names)
        if lacking:
            return f"has no column {', '.join(sorted(lacking))}"
        return "has no rows" if footer.metadata.num_rows == 0 else ""


def _is_simulated(path: Path) -> bool:
    from pyarrow import parquet

    return SIMULATED_KEY in (parquet.read_schema(path).metadata or {})


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "loopline" / "taxi"


def _file_name(month: str) -> str:
    return f"green_tripdata_{month}.parquet"


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401 - only whether it is there
    except ImportError:
        raise MissingExtraError("pyarrow", extra="demo", purpose="The taxi demo") from None


_WANTED = f"green_tripdata_YYYY-MM.parquet for {', '.join(TAXI_MONTHS)}"
