"""Makes the environments in which the peers run: one folder each, at pinned versions.

    python benchmarks/peers/environments.py            # all
    python benchmarks/peers/environments.py mlflow aim

They stand in ``~/.cache/loopline/benchmarks/environments`` (``XDG_CACHE_HOME`` moves it), outside
``.venv``: no peer's dependency ever meets ours. Peers that agree about theirs share one. A stamp,
written last, says that a folder is whole; what is whole is left alone. One that pip cannot install
keeps the reason in ``FOLDER.failed``, and the benchmarks list it as missing for that reason.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENTS", "FLOW_PEERS", "FOLDER", "PEERS", "SERVING_PEERS", "Peer", "make",
           "why_missing"]  # fmt: skip

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = CACHE / "loopline" / "benchmarks" / "environments"

#: What each environment holds. The reason stands beside what is there for a peer's sake.
ENVIRONMENTS = {
    "mlflow": ["mlflow==3.17.2"],
    "fasttrackml": ["fasttrackml==0.6.0"],  # Brings an MLflow of its own, 2.22.5.
    "aim": ["aim==3.29.1"],
    "light": [
        "trackio==0.43.0",
        "tensorboardX==2.6.5",
        "wandb==0.31.0",
        "dvclive==3.49.1",
    ],
    "dask": ["dask[distributed]==2026.8.0"],
    # FastAPI as old as it allows: its server calls what newer ones, even below 0.165, have no more.
    "prefect3": ["prefect==3.8.8", "fastapi<0.140"],
    "prefect1": ["prefect==1.4.1", "pendulum<3", "setuptools<70"],
    "dagster": ["dagster==1.13.29"],
    # What the model was saved with, as in `locks/`.
    "litserve": ["litserve==0.2.19", "scikit-learn==1.9.1", "pandas==3.1.1", "skops==0.16.0"],
    "bentoml": ["bentoml==1.4.40", "scikit-learn==1.9.1", "pandas==3.1.1", "skops==0.16.0"],
}


QUIET_MLFLOW = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another tracker that can be measured.

    Attributes:
        name: As its makers spell it.
        version: Of its package on PyPI.
        environment: Which of ``ENVIRONMENTS`` holds it.
        program: File beside this one that does the work.
        settings: What its makers offer to keep it on this machine and quiet.
    """

    name: str
    version: str
    environment: str
    program: str
    settings: dict[str, str]

    @property
    def python(self) -> Path:
        """The Python that has it."""
        return FOLDER / self.environment / "bin" / "python"


PEERS = {
    "trackio": Peer(
        name="trackio",
        version="0.43.0",
        environment="light",
        program="peer_trackio.py",
        settings={"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    ),
    "tensorboardX": Peer(
        name="tensorboardX",
        version="2.6.5",
        environment="light",
        program="peer_tensorboardx.py",
        settings={},
    ),
    "dvclive": Peer(
        name="DVCLive",
        version="3.49.1",
        environment="light",
        program="peer_dvclive.py",
        settings={"DVC_NO_ANALYTICS": "1"},
    ),
    "wandb": Peer(
        name="wandb, offline",
        version="0.31.0",
        environment="light",
        program="peer_wandb.py",
        settings={"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "0"},
    ),
    "aim": Peer(
        name="Aim",
        version="3.29.1",
        environment="aim",
        program="peer_aim.py",
        settings={},
    ),
    "fasttrackml": Peer(
        name="FastTrackML",
        version="0.6.0",
        environment="fasttrackml",
        program="peer_fasttrackml.py",
        settings={},
    ),
    "mlflow": Peer(
        name="MLflow",
        version="3.17.2",
        environment="mlflow",
        program="peer_mlflow.py",
        settings=QUIET_MLFLOW,
    ),
    "fasttrackml-async": Peer(
        name="FastTrackML, asynchronous",
        version="0.6.0",
        environment="fasttrackml",
        program="peer_fasttrackml.py",
        settings={"BENCHMARK_ASYNCHRONOUS": "1"},
    ),
    "mlflow-async": Peer(
        name="MLflow, asynchronous",
        version="3.17.2",
        environment="mlflow",
        program="peer_mlflow.py",
        settings={**QUIET_MLFLOW, "BENCHMARK_ASYNCHRONOUS": "1"},
    ),
}

#: Who runs flows; measured against flows alone.
FLOW_PEERS = {
    "dask": Peer(
        name="Dask",
        version="2026.8.0",
        environment="dask",
        program="flows_dask.py",
        settings={},
    ),
    "prefect3": Peer(
        name="Prefect 3",
        version="3.8.8",
        environment="prefect3",
        program="flows_prefect3.py",
        settings={
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # The server that it starts for itself takes longer than its 20 s on a busy machine.
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        },
    ),
    "prefect1": Peer(
        name="Prefect 1",
        version="1.4.1",
        environment="prefect1",
        program="flows_prefect1.py",
        settings={"PREFECT__LOGGING__LEVEL": "ERROR"},
    ),
    "dagster": Peer(
        name="Dagster",
        version="1.13.29",
        environment="dagster",
        program="flows_dagster.py",
        settings={"DAGSTER_DISABLE_TELEMETRY": "1"},
    ),
}

#: Who serves models; measured by ``bench_serving.py`` alone.
SERVING_PEERS = {
    "litserve": Peer(
        name="LitServe",
        version="0.2.19",
        environment="litserve",
        program="serve_litserve.py",
        settings={"OMP_NUM_THREADS": "1"},
    ),
    "litserve-batched": Peer(
        name="LitServe, 64 a batch",
        version="0.2.19",
        environment="litserve",
        program="serve_litserve.py",
        settings={"OMP_NUM_THREADS": "1", "BENCHMARK_BATCH": "64"},
    ),
    "bentoml": Peer(
        name="BentoML",
        version="1.4.40",
        environment="bentoml",
        program="serve_bentoml.py",
        settings={"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "true"},
    ),
}


def why_missing(peer: Peer) -> str | None:
    """Say why this peer cannot be measured here; nothing when it can."""
    folder = FOLDER / peer.environment
    if stamp(folder).exists() and stamp(folder).read_text() == wanted(peer.environment):
        return None
    failed = folder.with_suffix(".failed")
    if failed.exists():
        return f"pip could not install it: {failed.read_text().strip()}"
    return "it has no environment; `make environment-peers` makes it"


def make(environment: str) -> bool:
    """Make one environment unless it is whole; tell whether it is now."""
    folder = FOLDER / environment
    if stamp(folder).exists() and stamp(folder).read_text() == wanted(environment):
        return True
    say(f"{environment}: installing {', '.join(ENVIRONMENTS[environment])}")
    shutil.rmtree(folder, ignore_errors=True)
    failed = folder.with_suffix(".failed")
    failed.unlink(missing_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--no-input", "-q"]
        + ENVIRONMENTS[environment],
    ]
    for command in commands:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            failed.write_text((done.stderr.strip() or done.stdout.strip()).splitlines()[-1] + "\n")
            say(f"{environment}: failed: {failed.read_text().strip()}")
            return False
    stamp(folder).write_text(wanted(environment))
    return True


def stamp(folder: Path) -> Path:
    """The file that says what is in a whole environment."""
    return folder / "ready"


def wanted(environment: str) -> str:
    """What the stamp says."""
    return "\n".join(ENVIRONMENTS[environment])


def say(line: str) -> None:
    """Show progress."""
    print(line, flush=True)


def main() -> None:
    """Make those named, or all; one that fails stops no other."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("environments", nargs="*", help=f"of {', '.join(ENVIRONMENTS)}; or all")
    given = options.parse_args().environments or list(ENVIRONMENTS)
    if not all([make(environment) for environment in given]):  # noqa: C419 - try each of them
        sys.exit(1)


if __name__ == "__main__":
    main()
