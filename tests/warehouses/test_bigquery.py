"""BigQuery as the warehouse, against an emulator in an environment of its own; and DuckDB 1 there.

The emulator is asked only what it answers right.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.peers import python_of

from loopline.errors import InvalidInputError, MissingExtraError
from loopline.warehouses.bigquery import BigQueryWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
STORIES = Path(__file__).parent
EXTENSION = "from duckdb_extensions import import_extension; import_extension('spatial')"
START_S = 90.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def tell(story: str, *arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [python_of("bigquery-emulator"), STORIES / story, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "LOOPLINE_NO_CAPTURE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Start the emulator; it needs an extension of DuckDB's, which a package brings."""
    python = python_of("bigquery-emulator")
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([python, "-c", EXTENSION], env=environment, check=True, capture_output=True)
    rest, rpc = free_port(), free_port()
    program = Path(python).with_name("bqemulator")
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen(
        [program, "start", "--rest-port", str(rest), "--grpc-port", str(rpc)],
        env=environment, stdout=log, stderr=log,
    ) as server:  # fmt: skip
        try:
            until = time.monotonic() + START_S
            for port in (rest, rpc):
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    except OSError:
                        said = (tmp_path / "log").read_text()[-2000:]
                        assert server.poll() is None, said
                        assert time.monotonic() < until, said
                        time.sleep(0.2)
            yield rest, rpc
        finally:
            server.terminate()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_bigquery_is_filled_asked_and_read(ports: tuple[int, int]) -> None:
    told = tell("bigquery_story.py", *ports)
    assert "fare: was double, came as string; first bad row 0: 'n/a'" in told.pop("unfit")
    assert "Did you mean 'trips'?" in told.pop("missing")
    assert told == {
        "appended": 2500,
        "again": 500,
        "tables": ["trips"],
        "schema": {"number": "int64", "fare": "double"},
        "query": [{"dear": 120, "most": 51.5}],
        "batches": [1000, 1000, 1000],
        "is_ordered": True,
        "direct": [2000, 1000],
        "direct_sum": 81_000.0,
        "replaced": 10,
        "after": [{"n": 10}],
    }


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_warehouses_and_feeds_work_on_duckdb_1(tmp_path: Path) -> None:
    assert tell("duckdb_story.py", tmp_path) == {
        "duckdb": "1",
        "batches": [2, 2, 1],
        "unfit": "column trip_id: was int64, came as string; first bad row 0: 'x'",
        "first": 5,
        "late": 3,
        "window": [1, 2],
        "source": "feed:own#[[0,4,null,null]]",
        "clean": True,
    }


def test_an_address_of_bigquery_names_a_dataset() -> None:
    for url in ("bigquery://", "bigquery://wagoncab", "bigquery://wagoncab/taxi/trips"):
        with pytest.raises(InvalidInputError, match="bigquery://project/dataset"):
            BigQueryWarehouse(url)
    with pytest.raises(MissingExtraError, match=r"loopline\[bigquery\]"):
        BigQueryWarehouse("bigquery://wagoncab/taxi")
