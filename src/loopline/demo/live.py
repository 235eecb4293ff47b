"""The model live: a serving process, and riders who ask it for fares while the months pass."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from loopline.errors import LooplineError
from loopline.records.base import Record

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["LiveModel", "Served", "ServedVersion", "Trip", "make_trips"]

#: Connections over which riders ask, one request at a time each.
RIDERS = 2
#: Seconds between a rider's answer and the next question: a trickle, so that training has the CPU.
PAUSE_S = 0.01
#: Seconds in which a promoted version must answer, its start on a busy machine included.
PATIENCE_S = 90.0
#: Seconds that the serving process has to finish what it began.
GRACE_S = 40.0


class ServedVersion(Record, frozen=True, kw_only=True):
    """What a version answered.

    Attributes:
        version: Its number.
        requests: How many it answered.
        rmse: How far it was off, in dollars, by the fares that the trips did cost.
    """

    version: int
    requests: int
    rmse: float


class Served(Record, frozen=True, kw_only=True):
    """What came of serving while the months passed.

    Attributes:
        requests: How many were sent.
        failures: How many were not answered with a fare.
        swaps: How often another version took over.
        versions: In the order in which they first answered.
        first_failure: What the first failure was; empty: there was none.
    """

    requests: int
    failures: int
    swaps: int
    versions: list[ServedVersion]
    first_failure: str = ""


class Trip(NamedTuple):
    """A question: the body of a request, and the fare that is right."""

    body: bytes
    fare: float


def make_trips(features: pd.DataFrame, fares: pd.Series[float]) -> list[Trip]:
    """Make a question of each trip, as MLflow's protocol has it."""
    columns = list(features.columns)
    return [
        Trip(json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}).encode(), fare)
        for row, fare in zip(features.to_numpy().tolist(), fares.tolist(), strict=True)
    ]


class LiveModel:
    """A ``loopline serve`` process of a model's Production version, under a small load.

    Riders ask from when it is ready until ``stop``. Use it as a context manager, so that the
    process ends whatever happens.

    Args:
        name: Of the registered model.
        home: Where it is registered; the process writes its log there.
        trips: What riders ask for, again and again.
    """

    def __init__(self, name: str, home: Path, trips: list[Trip]) -> None:
        self._log = home / "serving.log"
        self._trips = trips
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._requests = self._swaps = 0
        self._failures: list[str] = []
        self._squares: dict[int, list[float]] = {}
        self._latest: dict[int, int] = {}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [
                    sys.executable, "-m", "loopline.cli", "serve", f"models:/{name}/Production",
                    "--uri", str(home), "--port", "0", "--watch", "0.2", "--json",
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._threads = [threading.Thread(target=self._begin, name="loopline-live", daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def ask_about(self, trips: list[Trip]) -> None:
        """Have the riders ask for other trips from now on."""
        self._trips = trips

    def wait_for(self, version: int, *, answers: int = 1, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a version answers every rider, and has answered some requests in all.

        Raises:
            LooplineError: It does not, or the process ended; the message has its last words.
        """
        until = time.monotonic() + timeout_s
        with self._changed:
            while not self._is_live(version, answers):
                if self._process.poll() is not None:
                    raise LooplineError(self._say(f"ended with {self._process.returncode}"))
                if time.monotonic() > until:
                    why = f"did not answer with v{version} within {timeout_s:.0f} s"
                    raise LooplineError(self._say(why))
                self._changed.wait(0.1)

    def rmse(self, version: int) -> float:
        """Tell how far a version's answers were off so far; NaN when it gave none."""
        with self._changed:
            return _root(self._squares.get(version, []))

    def count(self, version: int) -> int:
        """Tell how many answers a version gave so far."""
        with self._changed:
            return len(self._squares.get(version, []))

    def stop(self) -> Served:
        """Let the riders have their last answers, end the process, and tell what was."""
        self._stop.set()
        if self._process.poll() is None:
            for thread in self._threads[1:]:
                thread.join()
            self._process.terminate()
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._threads[0].join()
        with self._changed:
            return Served(
                requests=self._requests,
                failures=len(self._failures),
                swaps=self._swaps,
                versions=[
                    ServedVersion(version=version, requests=len(squares), rmse=_root(squares))
                    for version, squares in self._squares.items()
                ],
                first_failure=self._failures[0] if self._failures else "",
            )

    # --- the threads ---

    def _begin(self) -> None:
        """Wait until it is ready, and let the riders ask."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        with self._process.stdout as ready:
            line = ready.readline()
            if not line:  # It ended; ``wait_for`` says why.
                return
            url = urlsplit(json.loads(line)["url"])
            if not self._stop.is_set():
                for number in range(RIDERS):
                    rider = threading.Thread(
                        target=self._ride, args=(number, url.hostname, url.port),
                        name=f"loopline-rider-{number}", daemon=True,
                    )  # fmt: skip
                    self._threads.append(rider)
                    rider.start()
            ready.read()  # Until it ends: a full pipe would stop it.

    def _ride(self, number: int, host: str, port: int) -> None:
        with contextlib.closing(HTTPConnection(host, port, timeout=30)) as connection:
            place = number
            while not self._stop.wait(PAUSE_S):
                trips = self._trips
                trip = trips[place % len(trips)]
                place += RIDERS
                try:
                    version, fare = _ask(connection, trip)
                except (OSError, HTTPException, ValueError, TypeError) as error:
                    connection.close()
                    self._count(number, None, f"{type(error).__name__}: {error}")
                else:
                    self._count(number, version, (fare - trip.fare) ** 2)

    def _count(self, rider: int, version: int | None, outcome: Any) -> None:  # noqa: ANN401
        with self._changed:
            self._requests += 1
            if version is None:
                self._failures.append(outcome)
                return
            if self._squares and version not in self._latest.values():
                self._swaps += 1
            self._latest[rider] = version
            self._squares.setdefault(version, []).append(outcome)
            self._changed.notify_all()

    def _is_live(self, version: int, answers: int) -> bool:
        answered = list(self._latest.values())
        enough = len(self._squares.get(version, [])) >= answers
        return enough and answered == [version] * RIDERS

    def _say(self, what: str) -> str:
        words = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        tail = " ".join(words) or "It said nothing."
        return f"The serving process {what}. {tail} Try --no-serve, which does without it."


def _ask(connection: HTTPConnection, trip: Trip) -> tuple[int, float]:
    """Ask for a fare; tell which version said it."""
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/invocations", trip.body, headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != HTTPStatus.OK:
        msg = f"{answer.status} {body[:200].decode(errors='replace')}"
        raise ValueError(msg)
    said = json.loads(body)["predictions"][0]
    fare = float(said[0] if isinstance(said, list) else said)  # A network answers with rows.
    if not math.isfinite(fare):
        msg = f"{fare} is no fare"
        raise ValueError(msg)
    return int(answer.headers["X-Loopline-Model-Version"]), fare


def _root(squares: list[float]) -> float:
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else math.nan
