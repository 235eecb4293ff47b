"""A clock that a test sets forward and back while a real process runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

__all__ = ["Clock"]


class Clock:
    """The wall clock of processes started with ``environment``; their monotonic one is true."""

    def __init__(self, folder: Path) -> None:
        """Begin at the true time."""
        if sys.platform != "linux":
            pytest.skip("libfaketime's wheel has a library for Linux only.")
        import libfaketime

        vendor = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src"
        self._file = folder / "clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(vendor / "libfaketime.so.1"),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_s: int) -> None:
        """Set it so many seconds ahead of the true time; negative is behind."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{ahead_s:+d}\n")
        part.replace(self._file)
