"""Data versions: what data a run read, as a name, a source, a schema and a content digest."""

from __future__ import annotations

from loopline.data.dataset import dataset

__all__ = ["dataset"]
