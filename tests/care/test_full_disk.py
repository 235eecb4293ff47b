"""A full disk: a clear refusal, reads go on, and all goes on by itself when there is room.

The server keeps its home on a small file system of its own, in a name space that nobody else sees.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from loopline.backend.http import HttpBackend
from loopline.errors import LooplineError, StorageFullError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.rules.points import Points
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "ab" * 16

#: Serves a home, and fills or frees its disk when told to on standard input.
SERVING = """
import os, sys, threading
from pathlib import Path
from loopline.server.serve import serve
from loopline.settings import Address
disk = Path(sys.argv[1])
stop = threading.Event()

def obey():
    for line in sys.stdin:
        if line == "fill\\n":
            with (disk / "ballast").open("wb", buffering=0) as file:
                for size in (1 << 16, 1 << 12):
                    try:
                        while file.write(bytes(size)) == size:
                            pass
                    except OSError as error:
                        assert error.errno == 28
        else:
            (disk / "ballast").unlink()
        print("done", flush=True)
    stop.set()

threading.Thread(target=obey, daemon=True).start()
serve(Address("home", str(disk / ".loopline")), port=0, stop=stop,
      on_ready=lambda url: print(url, flush=True))
"""


class Server:
    """A server on a disk that can be filled."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self._line()

    def fill(self) -> None:
        self._tell("fill")

    def free(self) -> None:
        self._tell("free")

    def _tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = shutil.which("unshare")
    assert unshare, "needs util-linux"
    mounted = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$0" -c "$2" "$1"'
    process = subprocess.Popen(
        [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mounted,
         sys.executable, str(disk), SERVING],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Server(process)
    finally:
        with process:
            process.kill()


class Client:
    """Sends batches of one writer, and keeps count of what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.backend = HttpBackend(Address("http", url))
        self.writer = uuid.uuid4().hex
        self.acknowledged = 0

    def send(self, count: int = 100) -> None:
        start, end = self.acknowledged, self.acknowledged + count
        rows = [(step, step, step / 7) for step in range(start, end)]
        steps, times, values = Points.from_rows(rows).to_columns()
        fact = f.MetricPoints(
            run_id=RUN, key="rmse", steps=steps, timestamps_ms=times, values=values
        )
        receipt = self.backend.send(f.Batch(writer=self.writer, start=start, end=end, facts=[fact]))
        assert receipt.refused == 0
        self.acknowledged = receipt.acknowledged

    def send_many(self, batches: int) -> None:
        for _ in range(batches):
            self.send()

    def check(self) -> None:
        history = self.backend.call(ops.GetMetricHistory(run_id=RUN, key="rmse"))
        assert history.steps == list(range(self.acknowledged))
        assert history.values == [step / 7 for step in history.steps]


def health_of(server: Server) -> str:
    """Ask until the server has looked at its disks anew."""
    before = time.monotonic()
    while True:
        with urlopen(f"{server.url}/health") as answer:  # noqa: S310 - our own server
            said = json.load(answer)
        if said["status"] != "ok" or time.monotonic() - before > 20:
            return str(said["status"])
        time.sleep(0.1)


def test_a_full_disk_is_refused_clearly_and_costs_nothing_acknowledged(
    server: Server, tmp_path: Path
) -> None:
    client = Client(server.url)
    model = tmp_path / "model"
    for _ in range(20):
        client.send()
    for number in range(3):
        model.write_bytes(f"tree{number}".encode() * 200_000)
        server.fill()
        # The WAL may have a little room left, so the first batches may be taken.
        with pytest.raises(StorageFullError, match=r"full.* free some space"):
            client.send_many(200)
        with pytest.raises(StorageFullError, match=r"[Ff]ree some space"):
            client.backend.put_blob(model)
        client.check()  # Reads go on.
        if not number:  # Looked at once in five seconds.
            assert health_of(server) == "warning"

        server.free()
        began = time.monotonic()
        while True:
            try:
                client.send()
                break
            except LooplineError:
                assert time.monotonic() - began < 30
                time.sleep(0.05)
        assert client.backend.put_blob(model)[1] == 1_000_000
        client.check()
    assert server.process.poll() is None
    client.backend.close()
