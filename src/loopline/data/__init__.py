"""Data versions: what data a run read, where the bytes are kept, and who used them."""

from __future__ import annotations

from loopline.data.snapshots import load, snapshot
from loopline.data.uses import uses
from loopline.data.versions import HeldDataset, dataset

__all__ = ["HeldDataset", "dataset", "load", "snapshot", "uses"]
