"""Where the engine records to: what it needs of a recorder, so that a test can stand in for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact
    from loopline.records.operation import Operation
    from loopline.settings import Address

__all__ = ["Recorder"]

R = TypeVar("R")


class Recorder(Protocol):
    """What the engine needs of ``loopline.backend.recorder.Recorder``."""

    @property
    def address(self) -> Address:
        """Where it records to."""

    @property
    def backend(self) -> Backend:
        """Where results of earlier holders are read from; opened when first asked for."""

    def record(self, fact: Fact, /) -> None:
        """Journal a fact; safe to call from several threads."""

    def call(self, operation: Operation[R], /) -> R:
        """Ask or command, after what was recorded has reached the store."""

    def stage_bytes(self, data: bytes, /) -> tuple[str, int]:
        """Keep bytes for the drain, before the facts that follow; return SHA-256 and size."""
