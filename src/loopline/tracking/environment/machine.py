"""The machine a run ran on, read from /proc and the like; what cannot be read is left out."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from loopline.records.environment import Cpu, Gpu, Machine
from loopline.tracking.nvml import open_nvml

__all__ = ["read_machine"]

_CGROUP = Path("/sys/fs/cgroup")
#: A cgroup without a memory limit says "max", or (version 1) a number beyond any machine.
_NO_LIMIT = 1 << 60


def read_machine() -> Machine:
    """Read what the machine is; takes milliseconds and starts no program."""
    system = os.uname()
    nvml = open_nvml()
    return Machine(
        host=system.nodename,
        system=_system_name() or f"{system.sysname} {system.release}",
        kernel=f"{system.sysname} {system.release}",
        architecture=system.machine,
        cpu=_read_cpu(),
        memory_bytes=_memory_bytes(),
        memory_limit_bytes=_memory_limit(),
        container=_container(),
        gpus=[
            Gpu(name=nvml.name(index), memory_bytes=nvml.read(index).memory_total_bytes)
            for index in range(len(nvml))
        ]
        if nvml
        else [],
        gpu_driver=nvml.driver if nvml else "",
        cuda=nvml.cuda if nvml else "",
    )


def _text(path: Path | str) -> str:
    """Read a small file; empty when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _system_name() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    for line in _text("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip().strip('"')
    return ""


def _read_cpu() -> Cpu:
    model = ""
    cores = set()
    package = ""
    for line in _text("/proc/cpuinfo").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        match name:
            case "model name" | "Model" | "Processor":
                model = model or value
            case "physical id":
                package = value
            case "core id":
                cores.add((package, value))
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Cpu(
        model=model or platform.machine(),
        logical=os.cpu_count() or 0,
        cores=len(cores) or None,
        usable=usable or 0,
        limit=_cpu_limit(),
    )


def _cgroup_folders(controller: str) -> list[Path]:
    """List where this process's limits may stand: its own cgroup, then the container's root."""
    own = ""
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            own = path.strip("/")
    roots = (_CGROUP, _CGROUP / controller)
    return [folder for root in roots for folder in (root / own, root)]


def _cpu_limit() -> float | None:
    """Read how many processors a container allows, from cgroups of version 2 or 1."""
    for folder in _cgroup_folders("cpu"):
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        if not quota:
            quota = _text(folder / "cpu.cfs_quota_us").strip()
            period = _text(folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            return int(quota) / int(period)
    return None


def _memory_limit() -> int | None:
    """Read how much memory a container allows, from cgroups of version 2 or 1."""
    for folder in _cgroup_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _text(folder / name).strip()
            if limit.isdigit() and int(limit) < _NO_LIMIT:
                return int(limit)
    return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _container() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if os.path.exists("/run/.containerenv"):  # noqa: PTH110 - a question, not a path to go on with
        return "podman"
    if os.path.exists("/.dockerenv"):  # noqa: PTH110
        return "docker"
    groups = _text("/proc/1/cgroup")
    kinds = ("kubepods", "docker", "lxc", "containerd", "podman")
    return next((kind for kind in kinds if kind in groups), "")
