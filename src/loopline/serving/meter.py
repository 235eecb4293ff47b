"""Counts and latencies, written in the text format that Prometheus reads."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meter"]

#: Upper bounds of a latency's buckets, in seconds.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Upper bounds of the buckets of rows in one question to the model.
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0)
#: Upper bounds of how far a challenger's answer lies from the champion's.
DIFFERENCES = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0)

Labels = tuple[tuple[str, str], ...]


class _Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Meter:
    """What one process has done; written to by the event loop alone."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}
        self._gauges: list[Callable[[], list[tuple[str, Labels, float]]]] = []
        self._help: dict[str, tuple[str, str]] = {}

    def describe(self, name: str, kind: str, text: str) -> None:
        """Say what a metric means."""
        self._help[name] = (kind, text)

    def count(self, name: str, labels: Labels, by: float = 1) -> None:
        """Add to a counter."""
        key = (name, labels)
        self._counts[key] = self._counts.get(key, 0) + by

    def value(self, name: str, labels: Labels) -> float:
        """Tell a counter."""
        return self._counts.get((name, labels), 0)

    def observe(
        self, name: str, labels: Labels, value: float, bounds: tuple[float, ...] = SECONDS
    ) -> None:
        """Add a value to a histogram."""
        key = (name, labels)
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = _Histogram(bounds)
        found.add(value)

    def mean(self, name: str, labels: Labels) -> float | None:
        """Tell a histogram's mean; None: nothing was observed."""
        found = self._histograms.get((name, labels))
        return None if found is None else found.total / sum(found.counts)

    def watch(self, gauges: Callable[[], list[tuple[str, Labels, float]]]) -> None:
        """Have values asked for when somebody reads the metrics."""
        self._gauges.append(gauges)

    def text(self) -> str:
        """Write everything."""
        lines: dict[str, list[str]] = {}
        for (name, labels), count in sorted(self._counts.items()):
            lines.setdefault(name, []).append(f"{name}{_braced(labels)} {count:g}")
        for (name, labels), histogram in sorted(self._histograms.items(), key=lambda each: each[0]):
            rows = lines.setdefault(name, [])
            below = 0
            for bound, count in zip(
                (*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True
            ):
                below += count
                rows.append(f"{name}_bucket{_braced((*labels, ('le', bound)))} {below}")
            rows.append(f"{name}_sum{_braced(labels)} {histogram.total!r}")
            rows.append(f"{name}_count{_braced(labels)} {below}")
        for gauges in self._gauges:
            for name, labels, value in gauges():
                lines.setdefault(name, []).append(f"{name}{_braced(labels)} {value:g}")
        parts = []
        for name, rows in lines.items():
            kind, text = self._help.get(name, ("untyped", ""))
            parts += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *rows]
        return "\n".join(parts) + "\n"


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
