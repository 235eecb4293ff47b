"""Claim: system metrics, on by default, take under 0.1 % of a core.

Measured: CPU time of the whole process (``time.process_time``: all threads, user and kernel) for
samples of one run along their whole road: read from ``/proc``, journaled, sent, committed to a
SQLite home. One sample each ten seconds is the default, so the share of a core is a sample's
cost divided by ten seconds. Then the same told by waiting: a process that only sleeps, for two
minutes with an open run, with sampling and without.
Against: the limit, reading the same four sources with bare system calls.
Fair: each sample is flushed by itself; in a run that logs nothing else, three travel together.
Does not show: GPUs, whose driver's library costs what it costs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.measure import report

SAMPLES = 200
EVERY_S = 10.0
SLEEP_S = 120.0
CLAIM_PERCENT = 0.1

SLEEPER = """
import sys, time
import loopline
loopline.set_tracking_uri(sys.argv[1])
loopline.start_run(log_system_metrics=sys.argv[2] == "on")
time.sleep(5)
began = time.process_time()
time.sleep(float(sys.argv[3]))
print(time.process_time() - began)
"""


def bare() -> None:
    """Read the same four sources, without understanding them."""
    for name in ("/proc/stat", "/proc/meminfo", "/proc/net/dev"):
        handle = os.open(name, os.O_RDONLY)
        os.read(handle, 1 << 16)
        os.close(handle)
    os.statvfs("/")


def cpu_of(work: object, *, count: int) -> list[float]:
    """Measure CPU of the whole process, in microseconds a call."""
    found = []
    for _ in range(count):
        began = time.process_time()
        work()  # type: ignore[operator]
        found.append((time.process_time() - began) * 1e6)
    return found


def main() -> None:
    """Measure and print."""
    import loopline
    from loopline.backend.recorder import close_recorders, get_recorder
    from loopline.tracking.system_metrics import _Sampled
    from loopline.tracking.system_readings import open_machine

    os.environ["LOOPLINE_NO_CAPTURE"] = "1"
    with tempfile.TemporaryDirectory() as home:
        loopline.set_tracking_uri(home)
        run = loopline.start_run(log_system_metrics=False)
        recorder = get_recorder()
        machine = open_machine()
        sampled = _Sampled(run, recorder, is_resumed=False)

        def journaled() -> None:
            sampled.log(machine, machine.counters())

        def durable() -> None:
            journaled()
            recorder.flush()

        durable()
        results = {
            "reading four files": cpu_of(bare, count=SAMPLES),
            "a sample, journaled": cpu_of(journaled, count=SAMPLES),
            "a sample, until durable in the store": cpu_of(durable, count=SAMPLES),
        }
        loopline.end_run()
        close_recorders()
    report("System metrics, one sample", results, limit="reading four files")
    whole = statistics.mean(results["a sample, until durable in the store"])
    share = whole / 1e6 / EVERY_S * 100
    print(f"\nOne each {EVERY_S:.0f} s: {share:.4f} % of a core (claim: under {CLAIM_PERCENT} %).")
    seconds = {state: sleeper(state) for state in ("on", "off")}
    percents = {state: found / SLEEP_S * 100 for state, found in seconds.items()}
    print(
        f"A process asleep with an open run, {SLEEP_S:.0f} s: {percents['on']:.3f} % of a core "
        f"with sampling, {percents['off']:.3f} % without: {percents['on'] - percents['off']:.4f} %."
    )


def sleeper(state: str) -> float:
    """Measure the CPU of a process that has a run open and sleeps; seconds."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", SLEEPER, home, state, str(SLEEP_S)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            check=True,
        )
    return float(done.stdout)


if __name__ == "__main__":
    main()
