"""Readings of the machine: processors, memory, disk, network and GPUs, under MLflow's names.

On Linux they come from ``/proc``, in microseconds and with nothing installed; elsewhere from
``psutil`` when that is there. Megabytes are millions of bytes, as MLflow counts them.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from loopline.tracking.nvml import open_nvml

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.tracking.nvml import Nvml

__all__ = ["Counters", "Machine", "ProcFiles", "Psutil", "open_machine"]

MB = 1e6


class Counters(NamedTuple):
    """What only grows; readings are differences of two of these.

    Attributes:
        busy: Time the processors worked, in the machine's own unit.
        total: Time that went by on all of them, in the same unit.
        received_bytes: Through all interfaces but the loopback.
        sent_bytes: As above.
    """

    busy: float
    total: float
    received_bytes: int
    sent_bytes: int


class Source(Protocol):
    """Where counters and memory are read."""

    def counters(self) -> Counters:
        """Read what only grows."""
        ...

    def memory(self) -> tuple[int, int]:
        """Read bytes of memory in use (what could not be had at once) and in all."""
        ...


class ProcFiles:
    """Linux's files under ``/proc``, kept open: a reading is three system calls."""

    def __init__(self) -> None:
        self._files = {
            name: os.open(f"/proc/{name}", os.O_RDONLY | os.O_CLOEXEC)
            for name in ("stat", "meminfo", "net/dev")
        }

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        """Close the files, also when the interpreter has taken its modules apart."""
        for handle in getattr(self, "_files", {}).values():
            close(handle)

    def _read(self, name: str, most: int) -> bytes:
        return os.pread(self._files[name], most, 0)

    def counters(self) -> Counters:
        """Read what only grows."""
        # cpu  user nice system idle iowait irq softirq steal (guest times are in user's).
        times = [int(word) for word in self._read("stat", 256).split(b"\n", 1)[0].split()[1:9]]
        total = sum(times)
        received = sent = 0
        for line in self._read("net/dev", 1 << 16).split(b"\n")[2:]:
            name, _, numbers = line.partition(b":")
            if numbers and name.strip() != b"lo":
                words = numbers.split()
                received += int(words[0])
                sent += int(words[8])
        return Counters(total - times[3] - times[4], total, received, sent)

    def memory(self) -> tuple[int, int]:
        """Read bytes of memory in use and in all."""
        found = {}
        for line in self._read("meminfo", 512).split(b"\n"):
            name, _, rest = line.partition(b":")
            if name in {b"MemTotal", b"MemAvailable"}:
                found[name] = int(rest.split()[0]) * 1024
        return found[b"MemTotal"] - found[b"MemAvailable"], found[b"MemTotal"]


class Psutil:
    """The same from ``psutil``, where there is no ``/proc``."""

    def __init__(self) -> None:
        self._psutil: Any = importlib.import_module("psutil")

    def counters(self) -> Counters:
        """Read what only grows."""
        times = self._psutil.cpu_times()
        interfaces = self._psutil.net_io_counters(pernic=True)
        network = [found for name, found in interfaces.items() if not name.startswith("lo")]
        return Counters(
            sum(times) - times.idle - getattr(times, "iowait", 0.0),
            sum(times),
            sum(found.bytes_recv for found in network),
            sum(found.bytes_sent for found in network),
        )

    def memory(self) -> tuple[int, int]:
        """Read bytes of memory in use and in all."""
        memory = self._psutil.virtual_memory()
        return memory.total - memory.available, memory.total


class Machine:
    """The machine as its metrics tell of it."""

    def __init__(self, source: Source | None, nvml: Nvml | None) -> None:
        """Read from a source, and from the GPUs; either may be missing."""
        self._source = source
        self._nvml = nvml

    def counters(self) -> Counters:
        """Read what only grows."""
        return self._source.counters() if self._source else Counters(0, 0, 0, 0)

    def read(self, begin: Counters, before: Counters, now: Counters) -> dict[str, float]:
        """Read everything, by MLflow's names without their ``system/``.

        Args:
            begin: Counters at the run's begin, from which network traffic counts.
            before: Counters at the run's last reading, since when the processors' time counts.
            now: Counters of this moment.
        """
        values = self._read_disk()
        if self._source is not None:
            used, total = self._source.memory()
            values["system_memory_usage_megabytes"] = used / MB
            values["system_memory_usage_percentage"] = used / total * 100
            if now.total > before.total:
                share = (now.busy - before.busy) / (now.total - before.total)
                values["cpu_utilization_percentage"] = share * 100
            values["network_receive_megabytes"] = (now.received_bytes - begin.received_bytes) / MB
            values["network_transmit_megabytes"] = (now.sent_bytes - begin.sent_bytes) / MB
        for index in range(len(self._nvml or ())):
            values |= self._read_gpu(index)
        return {name: round(value, 2) for name, value in values.items()}

    def _read_disk(self) -> dict[str, float]:
        # The root, as with MLflow: a folder of the network could keep us waiting for ever.
        disk = os.statvfs(os.sep)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        free = disk.f_bavail * disk.f_frsize
        return {
            "disk_usage_percentage": used / (used + free) * 100 if used + free else 0.0,
            "disk_usage_megabytes": used / MB,
            "disk_available_megabytes": free / MB,
        }

    def _read_gpu(self, index: int) -> dict[str, float]:
        assert self._nvml is not None  # noqa: S101 - the caller counted its GPUs
        gpu = self._nvml.read(index)
        values: dict[str, float | None] = {
            "memory_usage_megabytes": None,
            "memory_usage_percentage": None,
            "utilization_percentage": gpu.utilization,
            "power_usage_watts": gpu.power_watts,
            "power_usage_percentage": None,
        }
        if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
            values["memory_usage_megabytes"] = gpu.memory_used_bytes / MB
            values["memory_usage_percentage"] = gpu.memory_used_bytes / gpu.memory_total_bytes * 100
        if gpu.power_watts is not None and gpu.power_limit_watts:
            values["power_usage_percentage"] = gpu.power_watts / gpu.power_limit_watts * 100
        return {f"gpu_{index}_{name}": value for name, value in values.items() if value is not None}


def open_machine() -> Machine:
    """Open what can be read here."""
    return Machine(_source(), open_nvml())


def _source() -> Source | None:
    try:
        return ProcFiles()
    except OSError:
        pass  # Not Linux.
    try:
        return Psutil()
    except ImportError:
        return None
