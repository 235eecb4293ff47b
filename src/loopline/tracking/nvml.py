"""NVIDIA's management library by ctypes: which GPUs there are, and how busy they are.

The library comes with the driver; without it there is nothing here, and that is no error. Names
and structures are those of ``nvml.h``.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ctypes
    from pathlib import Path

__all__ = ["GpuReading", "Nvml", "open_nvml"]

LIBRARY = "libnvidia-ml.so.1"
#: One of these is there when the driver is loaded; the last is that of Windows' Linux.
_DEVICES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg")


class GpuReading(NamedTuple):
    """How busy a GPU is; None where the driver does not say.

    Attributes:
        utilization: Percent of the last moments in which a kernel ran.
        power_watts: What it draws.
        power_limit_watts: What it may draw.
    """

    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilization: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None


class Nvml:
    """An opened library; the handles of its GPUs are looked up once."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Use a library that is loaded and initialized."""
        import ctypes

        self._library = library
        self._handles: list[Any] = []
        count = ctypes.c_uint()
        if not self._call("nvmlDeviceGetCount_v2", ctypes.byref(count)):
            return
        for index in range(count.value):
            handle = ctypes.c_void_p()
            if self._call("nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(handle)):
                self._handles.append(handle)

    def __len__(self) -> int:
        """Tell how many GPUs there are."""
        return len(self._handles)

    @property
    def driver(self) -> str:
        """Version of the driver."""
        return self._text("nvmlSystemGetDriverVersion")

    @property
    def cuda(self) -> str:
        """Newest CUDA version that the driver can, such as ``"12.4"``."""
        import ctypes

        found = ctypes.c_int()
        if not self._call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(found)):
            return ""
        return f"{found.value // 1000}.{found.value % 1000 // 10}"

    def name(self, index: int) -> str:
        """Name of a GPU, such as ``"NVIDIA A100-SXM4-40GB"``."""
        return self._text("nvmlDeviceGetName", self._handles[index])

    def read(self, index: int) -> GpuReading:
        """Read how busy a GPU is."""
        import ctypes

        handle = self._handles[index]
        memory = (ctypes.c_ulonglong * 3)()  # total, free, used
        rates = (ctypes.c_uint * 2)()  # gpu, memory
        has_memory = self._call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
        has_rates = self._call("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(rates))
        return GpuReading(
            memory_used_bytes=memory[2] if has_memory else None,
            memory_total_bytes=memory[0] if has_memory else None,
            utilization=rates[0] if has_rates else None,
            power_watts=self._watts("nvmlDeviceGetPowerUsage", handle),
            power_limit_watts=self._watts("nvmlDeviceGetEnforcedPowerLimit", handle),
        )

    def _watts(self, function: str, handle: Any) -> float | None:  # noqa: ANN401 - a ctypes pointer
        import ctypes

        milliwatts = ctypes.c_uint()
        return milliwatts.value / 1000 if self._call(function, handle, milliwatts) else None

    def _text(self, function: str, *arguments: Any) -> str:  # noqa: ANN401 - ctypes values
        import ctypes

        buffer = ctypes.create_string_buffer(96)
        if not self._call(function, *arguments, buffer, len(buffer)):
            return ""
        return buffer.value.decode(errors="replace")

    def _call(self, function: str, *arguments: Any) -> bool:  # noqa: ANN401 - ctypes values
        """Call a function of the library; tell whether it succeeded (0: NVML_SUCCESS)."""
        import ctypes

        by_reference = [
            ctypes.byref(value) if isinstance(value, ctypes.c_uint) else value
            for value in arguments
        ]
        call = getattr(self._library, function, None)
        return call is not None and call(*by_reference) == 0


def open_nvml() -> Nvml | None:
    """Open the library, if this machine has an NVIDIA driver with a GPU."""
    if sys.platform == "linux" and not any(map(os.path.exists, _DEVICES)):
        return None
    return load_nvml(LIBRARY)


def load_nvml(path: str | Path) -> Nvml | None:
    """Load and initialize the library from a file."""
    import ctypes

    try:
        library = ctypes.CDLL(str(path))
        if library.nvmlInit_v2() != 0:
            return None
    except (OSError, AttributeError):
        return None
    opened = Nvml(library)
    return opened if len(opened) else None
