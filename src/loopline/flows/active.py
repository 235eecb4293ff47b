"""The flow whose ``with`` block the current code is in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.flows.flow import Flow

__all__ = ["active_flow"]

active_flow: ContextVar[Flow | None] = ContextVar("loopline_active_flow", default=None)
