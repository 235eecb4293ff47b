"""A gigabyte through a server, each way, by plain HTTP; standard library only."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from protocol import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIZE", "MemoryMeter", "fetch", "free_address", "make_file", "measure", "send", "served"]

SIZE = 1_000_000_000
BLOCK = 1 << 20
START_S = 150.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def make_file(path: Path, size: int = SIZE) -> Path:
    """Write random bytes, and let the disk have them before anything is timed."""
    with path.open("wb") as file:
        left = size
        while left:
            left -= file.write(os.urandom(min(BLOCK, left)))
        os.fsync(file.fileno())
    return path


def free_address() -> str:
    """Find an address on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class served:  # noqa: N801 - used like a function
    """Runs a server while the block lasts; gives its process once ``/health`` answers."""

    def __init__(self, command: list[str], address: str, folder: Path) -> None:
        self._command = command
        self._url = f"http://{address}/health"
        self._folder = folder

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if _exchange("GET", self._url) == http.client.OK:
                    return self._process
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        raise SystemExit("the server did not come up")

    def __exit__(self, *_: object) -> None:
        for pid in descendants(self._process.pid):
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                continue
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class MemoryMeter:
    """Resident memory of a process and all that came from it: the most beyond what it was."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._before = self._now()
        self._most = self._before
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def growth_mb(self) -> float:
        """Stop and tell."""
        self._stop.set()
        self._thread.join()
        return max(0, self._most - self._before) / 1e6

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self._most = max(self._most, self._now())

    def _now(self) -> int:
        total = 0
        for pid in (self._pid, *descendants(self._pid)):
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            except OSError:
                continue
        return total


def measure(url: str, pid: int, folder: Path) -> dict[str, float]:
    """Send a file to an address and fetch it again, after a small one has warmed everything up."""
    small, big, back = make_file(folder / "small", BLOCK), folder / "big", folder / "back"
    if not big.exists():
        make_file(big)
    send(f"{url}/small", small)
    fetch(f"{url}/small", back)
    meter = MemoryMeter(pid)
    began = time.perf_counter()
    send(f"{url}/big", big)
    sent = time.perf_counter()
    fetch(f"{url}/big", back)
    fetched = time.perf_counter()
    growth = meter.growth_mb()
    same = subprocess.run(["cmp", "-s", str(big), str(back)], check=False).returncode == 0
    if not same:
        raise SystemExit("what came back is not what was sent")
    return {"up_s": sent - began, "down_s": fetched - sent, "growth_mb": growth}


def send(url: str, path: Path) -> None:
    """Upload a file."""
    with path.open("rb") as file:
        status = _exchange("PUT", url, file, {"Content-Length": str(path.stat().st_size)})
    if status >= http.client.BAD_REQUEST:
        raise SystemExit(f"the upload was answered with {status}")


def fetch(url: str, path: Path) -> None:
    """Download a file."""
    connection, target = _connection(url)
    connection.request("GET", target)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise SystemExit(f"the download was answered with {answer.status}")
    with path.open("wb") as file:
        file.writelines(_blocks(answer))
    connection.close()


def _blocks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := answer.read(BLOCK):
        yield block


def _exchange(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None
) -> int:
    connection, target = _connection(url)
    connection.request(method, target, body, headers or {})  # type: ignore[arg-type]
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300, blocksize=BLOCK)
    return connection, parts.path
