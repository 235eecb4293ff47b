"""Run configs under the name that flows import: ``from loopline.run_configs import VMRun``."""

from __future__ import annotations

from loopline.flows.run_configs import LocalRun, RunConfig, UniversalRun
from loopline.records.vm import VMRun

__all__ = ["LocalRun", "RunConfig", "UniversalRun", "VMRun"]
