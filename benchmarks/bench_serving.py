"""Claim: one-row scoring is 10 times `mlflow models serve` at 8 connections, 30 times at 64.

And: our own overhead is at most 0.3 ms of CPU a request over a bare ``predict``; twenty promotions
and rollbacks under load fail no request; a cold start takes at most 0.5 s beside the library's own
import and load.

Measured: the same folder with a taxi model (histogram boosting of 150 trees, four columns), asked
for one row a request over kept connections by a process of its own (`benchmarks/load.py`), for some
seconds each, ours and theirs in turn. CPU is that of the serving process, from the kernel.
Against: MLflow 3.17.2 (`.venvs/mlflow-3`), as it comes and with one OpenMP thread, which is how
ours starts.
And: LitServe and BentoML, if they are installed (`benchmarks/peers/environments.py`).
Fair: one process each, same machine, same body, same client, same seconds.
Does not show: large batches, where the model's own time is all there is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from peers.environments import SERVING_PEERS, why_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MLFLOW = ROOT / ".venvs" / "mlflow-3" / "bin"
SECONDS = float(os.environ.get("SECONDS", "5"))
CONNECTIONS = (1, 8, 64)
COLUMNS = ("distance_miles", "hour", "weekday", "passengers")
SWAPS = 20
LEAST_REQUESTS = 100_000

MODELS = """
import sys
import numpy as np, pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
import loopline, loopline.sklearn
from loopline import registry

rng = np.random.default_rng(7)
columns = sys.argv[2].split(",")
trips = pd.DataFrame({name: rng.uniform(0.5, 20, 20_000) for name in columns})
fares = 3 + 2.5 * trips[columns[0]] + rng.normal(0, 1, len(trips))
loopline.set_tracking_uri(sys.argv[1] + "/home")
for version in (1, 2):
    model = HistGradientBoostingRegressor(max_iter=150, random_state=version, early_stopping=False)
    model.fit(trips, fares)
    with loopline.start_run():
        loopline.sklearn.log_model(
            model, "model", registered_model_name="taxifare_model", input_example=trips.head(2))
registry.transition_stage("taxifare_model", 1, "Production")
loopline.sklearn.save_model(model, sys.argv[1] + "/model", input_example=trips.head(2))
"""


@contextlib.contextmanager
def process(command: list[str], url: str, **environment: str) -> Iterator[tuple[int, float]]:
    """Run a server until the block ends; gives its process and the seconds to its first answer."""
    if answers(url):
        sys.exit(f"Somebody else answers at {url} already")
    began = time.perf_counter()
    running = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
        start_new_session=True,
    )
    try:
        while not answers(url):
            if running.poll() is not None or time.perf_counter() - began > 120:  # noqa: PLR2004
                sys.exit(f"{' '.join(command)} does not answer")
            time.sleep(0.02)
        yield running.pid, time.perf_counter() - began
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(20)
        with contextlib.suppress(ProcessLookupError):  # Some leave their workers behind.
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def answers(url: str) -> bool:
    """Whether somebody answers at the URL's host and port."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status in {200, 404}
    except OSError:
        return False
    finally:
        connection.close()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of those that it has started, until now."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # Gone meanwhile.
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process] = int(fields[1])
            ticks[process] = int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {each for each, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks[each] for each in family) / os.sysconf("SC_CLK_TCK")


def load(url: str, body: Path, connections: int, seconds: float = SECONDS) -> subprocess.Popen[str]:
    """Begin to ask."""
    command = [
        sys.executable, str(ROOT / "benchmarks" / "load.py"), url, str(body), str(connections),
        str(seconds),
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(running: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for what a load saw."""
    said, _ = running.communicate()
    found: dict[str, Any] = json.loads(said)
    return found


def ask_all(name: str, pid: int, url: str, body: Path) -> dict[int, dict[str, Any]]:
    """Measure one server at each number of connections."""
    found = {}
    for connections in CONNECTIONS:
        before = cpu_s(pid)
        seen = result(load(url, body, connections))
        count = sum(seen["statuses"].values())
        seen["cpu_ms"] = (cpu_s(pid) - before) * 1000 / max(count, 1)
        found[connections] = seen
        print(
            f"{name:28}{connections:4}{seen['per_second']:10.0f}/s  p50 {seen['p50_ms']:7.2f} ms"
            f"  p99 {seen['p99_ms']:7.2f} ms  CPU {seen['cpu_ms']:6.2f} ms  {seen['statuses']}",
            flush=True,
        )
    return found


def bare_ms(folder: Path) -> float:
    """CPU milliseconds of a bare predict of one row, with one thread, in a process of its own."""
    code = (
        "import sys, time, warnings; import pandas as pd; from loopline.models import pyfunc;"
        "model = pyfunc.load_model(sys.argv[1]).native;"
        "row = pd.DataFrame([[1.0, 2.0, 3.0, 1.0]], columns=sys.argv[2].split(','));"
        "[model.predict(row) for _ in range(50)]; found = [];\n"
        "for _ in range(7):\n"
        "    began = time.process_time(); [model.predict(row) for _ in range(200)]\n"
        "    found.append((time.process_time() - began) * 5)\n"
        "print(sorted(found)[3])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(folder), ",".join(COLUMNS)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(said.stdout)


def swaps(folder: Path, body: Path) -> None:
    """Promote back and forth under load, each once the one before answers; count what failed."""
    import loopline
    from loopline import registry

    loopline.set_tracking_uri(folder / "home")
    url = "http://127.0.0.1:5197/invocations"
    command = [*ours(5197), "models:/taxifare_model/Production", "--uri", str(folder / "home")]
    with process(command, url):
        answered = 0
        loads: list[dict[str, Any]] = []
        took: list[float] = []
        while answered < LEAST_REQUESTS or len(took) < SWAPS:
            asking = load(url, body, 16, 10)
            until = time.monotonic() + 9
            while time.monotonic() < until and len(took) < SWAPS:
                took.append(promote(registry, url, body, 2 - len(took) % 2))
            loads.append(result(asking))
            answered += sum(loads[-1]["statuses"].values())
        connection = http.client.HTTPConnection("127.0.0.1", 5197)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
    swapped = next(line for line in lines if line.startswith("loopline_swaps_total"))
    statuses: dict[str, int] = {}
    for each in loads:
        for status, count in each["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    took.sort()
    print(
        f"\n{SWAPS} promotions and rollbacks: {swapped.rpartition(' ')[2]} swaps, answers by "
        f"status {statuses}; from promotion to answer {took[len(took) // 2]:.1f} s in the median, "
        f"{took[-1]:.1f} s at most; worst p99 {max(each['p99_ms'] for each in loads):.0f} ms"
    )


def beside_peers(folder: Path, body: Path) -> None:
    """Measure other programs that serve models, each in an environment of its own, beside ours."""
    url = "http://127.0.0.1:5198/invocations"
    print(f"\nLoad {os.getloadavg()[0]:.1f}; all with one OpenMP thread, one process of the model")
    with process([*ours(5198), str(folder / "model")], url) as (pid, _):
        mine = ask_all("Loopline", pid, url, body)
    for peer in SERVING_PEERS.values():
        missing = why_missing(peer)
        if missing:
            print(f"{peer.name} is not measured: {missing}")
            continue
        program = ROOT / "benchmarks" / "peers" / peer.program
        command = [str(peer.python), str(program), str(folder / "model"), "5198"]
        with process(command, url, **peer.settings) as (pid, cold_s):
            theirs = ask_all(peer.name, pid, url, body)
        ratios = ", ".join(
            f"{mine[count]['per_second'] / theirs[count]['per_second']:.1f} at {count}"
            for count in CONNECTIONS
        )
        print(f"  Loopline: {ratios} times {peer.name} {peer.version}; cold start {cold_s:.1f} s")


def promote(registry: Any, url: str, body: Path, version: int) -> float:  # noqa: ANN401 - a module
    """Promote a version and wait until it answers: a watch passes over what came and went."""
    began = time.perf_counter()
    registry.transition_stage("taxifare_model", version, "Production")
    connection = http.client.HTTPConnection(str(urlsplit(url).hostname), urlsplit(url).port)
    while True:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/invocations", body.read_bytes(), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.headers["X-Loopline-Model-Version"] == str(version):
            break
        if time.perf_counter() - began > 60:  # noqa: PLR2004
            sys.exit(f"version {version} never answered")
        time.sleep(0.02)
    connection.close()
    return time.perf_counter() - began


def ours(port: int) -> list[str]:
    """Write the command that serves."""
    return [sys.executable, "-m", "loopline.cli", "serve", "--port", str(port)]


def main() -> None:
    """Print requests a second of all, and the ratios."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        # Or what is recorded of a model's folder, which has no registry, is in the user's home.
        os.environ["LOOPLINE_URI"] = str(folder / "home")
        subprocess.run(
            [sys.executable, "-c", MODELS, name, ",".join(COLUMNS)],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        body = folder / "body.json"
        content = {"columns": COLUMNS, "data": [[1.0, 2.0, 3.0, 1.0]]}
        body.write_text(json.dumps({"dataframe_split": content}), encoding="utf-8")
        if sys.argv[1:] == ["peers"]:
            beside_peers(folder, body)
            return
        if sys.argv[1:] == ["swaps"]:
            swaps(folder, body)
            return
        model = str(folder / "model")
        bare = bare_ms(folder / "model")
        print(f"Load {os.getloadavg()[0]:.1f}; bare predict of one row: {bare:.2f} ms of CPU\n")
        url = "http://127.0.0.1:5196/invocations"
        with process([*ours(5196), model], url) as (pid, cold_s):
            mine = ask_all("Loopline", pid, url, body)
        with process([*ours(5196), model, "--record", "all"], url) as (pid, _):
            ask_all("Loopline, all recorded", pid, url, body)
        command = [
            str(MLFLOW / "python"), "-m", "uvicorn", "--port", "5196",
            "mlflow.pyfunc.scoring_server.app:app",
        ]  # fmt: skip  # What `mlflow models serve` runs.
        paths = {"__pyfunc_model_path__": model}
        with process(command, url, **paths) as (pid, their_cold_s):
            theirs = ask_all("MLflow", pid, url, body)
        with process(command, url, **paths, OMP_NUM_THREADS="1") as (pid, _):
            theirs_one = ask_all("MLflow, one OpenMP thread", pid, url, body)
        print(
            f"\nLoad {os.getloadavg()[0]:.1f}; cold start {cold_s:.1f} s, "
            f"MLflow's {their_cold_s:.1f} s"
        )
        print(f"overhead at 1 connection: {mine[1]['cpu_ms'] - bare:.2f} ms of CPU a request")
        for connections in CONNECTIONS:
            per_second = mine[connections]["per_second"]
            print(
                f"{connections:4} connections: {per_second / theirs[connections]['per_second']:.1f}"
                f" times MLflow, {per_second / theirs_one[connections]['per_second']:.1f} times it "
                "with one OpenMP thread"
            )
        beside_peers(folder, body)
        swaps(folder, body)
        print(f"Load at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
