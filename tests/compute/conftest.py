"""A workshop with a server, and a cloud to start machines in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.compute.gce_double import PROJECT, ZONE, ComputeEngine
from tests.worker.workshop import Workshop

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


HEAD = """
from loopline.run_configs import VMRun
VM = VMRun(
    provider="gce", zone={zone!r}, size="e2-small", install="nothing", python={python!r},
    deadline_s={deadline_s}, tries={tries}, labels={{"team": "wagoncab"}},
    connection={{
        "project": {project!r}, "host": "127.0.0.1", "port": "{port}", "secure": "false",
    }},
)
"""


class CloudWorkshop(Workshop):
    """A workshop whose flows run on machines of the double."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine = ComputeEngine(folder / "engine")
        self.engine.environment = {"PYTHONUNBUFFERED": "1", "LOOPLINE_SYSTEM_METRICS": "0"}
        self.key = self.engine.write_key(folder / "key.json")
        self.start_server(ahead_ms=0)

    def register_on_vm(self, script: str, *, deadline_s: int = 600, tries: int = 3) -> None:
        """Register a flow that the script makes with ``run_config=VM``."""
        self.register(self.head(deadline_s=deadline_s, tries=tries) + script)

    def head(self, *, deadline_s: int = 600, tries: int = 3) -> str:
        return HEAD.format(
            zone=ZONE,
            project=PROJECT,
            python=sys.executable,
            port=self.engine.port,
            deadline_s=deadline_s,
            tries=tries,
        )

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "GOOGLE_APPLICATION_CREDENTIALS": str(self.key)}

    def start_launcher(self, name: str) -> subprocess.Popen[bytes]:
        return self.start_worker(name, lease_s=3.0)

    def close(self) -> None:
        for log in [*self.elsewhere.glob("*.log"), *self.engine.consoles()]:
            print(f"--- {log}\n{log.read_text()}")  # Shown when a test fails.
        super().close()
        self.engine.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudWorkshop]:
    workshop = CloudWorkshop(tmp_path)
    yield workshop
    workshop.close()


@pytest.fixture
def signed_in(cloud: CloudWorkshop, monkeypatch: pytest.MonkeyPatch) -> CloudWorkshop:
    """Let this process too start machines."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.key))
    return cloud
