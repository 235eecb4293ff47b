"""What the doctor says: what it found, why that matters, and what to do next."""

from __future__ import annotations

from enum import StrEnum

from loopline.records.base import Record

__all__ = ["Finding", "Level", "fine", "note", "problem", "warning"]


class Level(StrEnum):
    """How bad a finding is: only a problem makes the doctor's exit code 1."""

    FINE = "fine"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Record, frozen=True, kw_only=True):
    """One thing that was looked at.

    Attributes:
        check: Which check, such as ``"database.integrity"``; stable, for programs.
        what: What was found, in a sentence.
        why: Why it matters; empty when all is fine.
        next: What to do; empty when there is nothing to do.
    """

    check: str
    level: Level
    what: str
    why: str = ""
    next: str = ""


def fine(check: str, what: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check=check, level=Level.FINE, what=what)


def note(check: str, what: str, why: str, next_: str = "") -> Finding:
    """Say something worth knowing."""
    return Finding(check=check, level=Level.NOTE, what=what, why=why, next=next_)


def warning(check: str, what: str, why: str, next_: str) -> Finding:
    """Say what may go wrong one day."""
    return Finding(check=check, level=Level.WARNING, what=what, why=why, next=next_)


def problem(check: str, what: str, why: str, next_: str) -> Finding:
    """Say what is wrong now."""
    return Finding(check=check, level=Level.PROBLEM, what=what, why=why, next=next_)
