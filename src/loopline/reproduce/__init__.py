"""Reproducing and explaining: run again what was run, compare two, say why one is where it is."""

from __future__ import annotations

from loopline.reproduce.comparing import diff
from loopline.reproduce.explaining import lineage, why
from loopline.reproduce.reproducing import Wishes, reproduce

__all__ = ["Wishes", "diff", "lineage", "reproduce", "why"]
