"""The months of trips are real, whole and checked, or plainly those of a simulated city."""

from __future__ import annotations

import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from loopline.demo import TAXI_MONTHS
from loopline.demo.data_source import SIMULATED_KEY, find_files
from loopline.demo.download import DownloadError, download, is_reachable
from loopline.demo.simulated_city import make_month
from loopline.errors import LooplineError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What the site does to a file: it fails this often first, in this way.
Fault = tuple[str, int]


class Site:
    """A site with monthly files, on a free port of this machine, that can be told to misbehave.

    Attributes:
        files: Bytes by name.
        faults: How requests for a name go wrong, and how many more times they will.
        ranges: The ``Range`` headers asked for.
        requests: Names asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.ranges: list[str] = []
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/trip-data"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix("/trip-data/")
        self.requests.append(name)
        fault, times = self.faults.get(name, ("", 0))
        if times:
            self.faults[name] = (fault, times - 1)
        data = self.files.get(name)
        if data is None or (times and fault.isdigit()):
            request.send_error(int(fault or 404))
            return
        start = 0
        wanted = request.headers.get("Range", "")
        if wanted and fault != "no ranges":
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        request.send_header("ETag", '"v1"')
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        cut = times and fault in {"cut", "no ranges"}
        request.wfile.write(data[start : start + (len(data) - start) // 2] if cut else data[start:])
        request.close_connection = True


@pytest.fixture(scope="session")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small monthly files that pass for real ones."""
    folder = tmp_path_factory.mktemp("months")
    for month in TAXI_MONTHS:
        trips = make_month(month).slice(0, 2000).replace_schema_metadata(None)
        parquet.write_table(trips, folder / f"green_tripdata_{month}.parquet")
    return folder


@pytest.fixture
def site(months: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with all months, where the demo looks for them."""
    site = Site()
    site.files = {path.name: path.read_bytes() for path in months.iterdir()}
    monkeypatch.setenv("LOOPLINE_TAXI_URL", site.url)
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LOOPLINE_TAXI_DATA", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "loopline" / "taxi"


# --- a folder the user names ------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "green"])
def test_a_folder_may_hold_the_months_itself_or_in_green(
    months: Path, tmp_path: Path, below: str
) -> None:
    shutil.copytree(months, tmp_path / "taxi" / below)
    data = find_files(tmp_path / "taxi")
    assert not data.is_simulated
    assert data.origin == "TLC green-taxi trips"
    assert data.count_rows("2022-03") == 2000


def test_the_environment_names_a_folder_too(months: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_TAXI_DATA", str(months))
    assert find_files().folder == months


def test_a_missing_month_is_named(months: Path, tmp_path: Path) -> None:
    shutil.copytree(months, tmp_path / "taxi")
    (tmp_path / "taxi" / "green_tripdata_2023-02.parquet").unlink()
    with pytest.raises(NotFoundError, match=r"green_tripdata_2023-02.parquet is missing") as error:
        find_files(tmp_path / "taxi")
    assert "2022-01.parquet is" not in str(error.value)


def test_a_file_that_is_no_parquet_is_named(months: Path, tmp_path: Path) -> None:
    shutil.copytree(months, tmp_path / "taxi")
    (tmp_path / "taxi" / "green_tripdata_2023-02.parquet").write_text("<html>Not found</html>")
    with pytest.raises(NotFoundError, match=r"2023-02.parquet is not a Parquet file"):
        find_files(tmp_path / "taxi")


def test_a_table_of_something_else_is_named(months: Path, tmp_path: Path) -> None:
    shutil.copytree(months, tmp_path / "taxi")
    yellow = pa.table({"tpep_pickup_datetime": [1], "fare_amount": [2.0]})
    parquet.write_table(yellow, tmp_path / "taxi" / "green_tripdata_2022-01.parquet")
    with pytest.raises(NotFoundError, match=r"2022-01.parquet has no column DOLocationID"):
        find_files(tmp_path / "taxi")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no folder"):
        find_files(tmp_path / "nowhere")


# --- TLC's site and the cache -----------------------------------------------------------------


def test_the_months_are_fetched_once_and_then_in_the_cache(site: Site, cache: Path) -> None:
    said: list[str] = []
    heard: list[tuple[str, int, int]] = []
    data = find_files(announce=said.append, on_progress=lambda *at: heard.append(at))
    assert data == (cache, False, TAXI_MONTHS)
    assert said == ["Fetching 7 months of green-taxi trips from 127.0.0.1"]
    name, done, total = heard[-1]
    assert (name, done, total) == ("green_tripdata_2023-04.parquet", len(site.files[name]), done)

    find_files(announce=said.append)
    assert len(site.requests) == 7
    assert len(said) == 1


def test_a_broken_connection_is_taken_up_where_it_stopped(site: Site, tmp_path: Path) -> None:
    name = "green_tripdata_2022-01.parquet"
    site.faults[name] = ("cut", 2)
    download(f"{site.url}/{name}", tmp_path / name, wait_s=0.01)
    assert (tmp_path / name).read_bytes() == site.files[name]
    size = len(site.files[name])
    half = size // 2
    assert site.ranges == [f"bytes={half}-", f"bytes={half + (size - half) // 2}-"]


def test_a_site_without_ranges_is_asked_for_the_whole_again(site: Site, tmp_path: Path) -> None:
    name = "green_tripdata_2022-01.parquet"
    site.faults[name] = ("no ranges", 1)
    download(f"{site.url}/{name}", tmp_path / name, wait_s=0.01)
    assert (tmp_path / name).read_bytes() == site.files[name]


def test_a_busy_site_is_asked_again(site: Site, tmp_path: Path) -> None:
    name = "green_tripdata_2022-01.parquet"
    site.faults[name] = ("503", 2)
    download(f"{site.url}/{name}", tmp_path / name, wait_s=0.01)
    assert (tmp_path / name).read_bytes() == site.files[name]


def test_a_file_that_always_breaks_off_is_given_up_and_leaves_nothing(
    site: Site, tmp_path: Path
) -> None:
    name = "green_tripdata_2022-01.parquet"
    site.faults[name] = ("cut", 99)
    (tmp_path / "here").mkdir()
    with pytest.raises(DownloadError, match=r"bytes came, 3 times"):
        download(f"{site.url}/{name}", tmp_path / "here" / name, wait_s=0.01)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_month_that_is_not_there_makes_the_city_simulated_and_says_why(
    site: Site, cache: Path
) -> None:
    del site.files["green_tripdata_2022-03.parquet"]
    said: list[str] = []
    data = find_files(announce=said.append)
    assert data.is_simulated
    assert "green_tripdata_2022-03.parquet: 404 Not Found" in said[1]
    assert "simulated city" in said[1]
    # What came before is kept for the next time, and no real month stands among the simulated.
    assert (cache / "green_tripdata_2022-01.parquet").exists()
    assert data.folder != cache


def test_a_page_instead_of_a_file_is_not_taken(site: Site, cache: Path) -> None:
    site.files["green_tripdata_2022-01.parquet"] = b"<html>Please log in to the hotel</html>"
    said: list[str] = []
    assert find_files(announce=said.append).is_simulated
    assert "green_tripdata_2022-01.parquet is not a Parquet file" in said[1]
    assert not list(cache.glob("*.parquet"))


def test_a_broken_file_in_the_cache_is_fetched_again(site: Site, cache: Path) -> None:
    find_files(announce=lambda _line: None)
    broken = cache / "green_tripdata_2023-01.parquet"
    broken.write_bytes(broken.read_bytes()[:-100])
    data = find_files(announce=lambda _line: None)
    assert not data.is_simulated
    assert site.requests[7:] == [broken.name]


# --- no network -------------------------------------------------------------------------------


def test_without_a_network_the_city_is_simulated_and_every_file_says_so(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLINE_TAXI_URL", "http://no-such-host.invalid/trip-data")
    said: list[str] = []
    data = find_files(announce=said.append)
    assert data.origin == "simulated city"
    assert len(said) == 2
    assert said[0].startswith("No trips from no-such-host.invalid")
    assert said[1] == "Making 7 months of trips of a simulated city"
    assert SIMULATED_KEY in parquet.read_schema(data.path("2022-01")).metadata

    # Moved somewhere else they still do not pass for real ones.
    shutil.copytree(data.folder, tmp_path / "elsewhere")
    assert find_files(tmp_path / "elsewhere").is_simulated
    # And they are made once.
    find_files(announce=said.append)
    assert len(said) == 3
    assert data.folder.parent == cache


def test_nobody_listening_is_noticed_at_once() -> None:
    with socket.socket() as taken:  # Bound and not listening: nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadError, match="refused"):
            is_reachable(f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_an_address_that_is_no_web_address_is_refused() -> None:
    with pytest.raises(DownloadError, match="no http"):
        is_reachable("file:///etc/passwd")


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LooplineError, match="Set XDG_CACHE_HOME"):
        find_files(announce=lambda _line: None)


# --- the simulated city -----------------------------------------------------------------------


def test_the_same_month_is_the_same_trips_and_another_is_not() -> None:
    assert make_month("2022-01").equals(make_month("2022-01"))
    assert not make_month("2022-01").equals(make_month("2022-02"))


def test_the_city_has_tlc_s_columns_and_types(taxi_folder: Path | None) -> None:
    """Checked against a real file where there is one, else against what TLC's files hold."""
    made = make_month("2022-01").schema.remove_metadata()
    assert made.names[:3] == ["VendorID", "lpep_pickup_datetime", "lpep_dropoff_datetime"]
    assert len(made.names) == 20
    if taxi_folder is not None:
        real = find_files(taxi_folder).path("2022-01")
        assert made.equals(parquet.read_schema(real).remove_metadata())


def test_the_city_has_dirty_rows() -> None:
    trips = make_month("2022-01").to_pandas()
    assert 20_000 <= len(trips) <= 60_000
    assert trips["fare_amount"].max() == 429_490.0
    assert (trips["fare_amount"] < 0).any()
    assert (trips["trip_distance"] == 0).any()
    assert trips["passenger_count"].isna().any()
    assert (trips["lpep_pickup_datetime"].dt.year < 2022).any()


def test_the_same_ride_costs_more_from_december_2022() -> None:
    fares = [make_month(month).to_pandas()["fare_amount"].median() for month in TAXI_MONTHS]
    before, after = fares[:3], fares[3:]
    assert max(before) / min(before) < 1.05
    assert min(after) > 1.2 * max(before)


def test_tasks_that_ask_at_once_get_the_same_whole_files(site: Site) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: find_files(announce=lambda _line: None), range(4)))
    assert len(set(found)) == 1
    assert len(site.requests) == 7
