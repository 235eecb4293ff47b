"""Secrets: named values that flows and deliveries need, and that nobody reads in passing."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = ["DeleteSecret", "GetSecret", "ListSecrets", "Secret", "SecretValue", "SetSecret"]


class Secret(Record, frozen=True, kw_only=True):
    """A secret, without its value.

    Attributes:
        name: Such as ``"BIGQUERY_CREDENTIALS"``.
        updated_ms: When its value was set last.
    """

    name: str
    created_ms: int
    updated_ms: int


class SecretValue(Record, frozen=True, kw_only=True):
    """A secret with its value, which no ``repr`` shows."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"SecretValue(name={self.name!r}, value=***)"


class SetSecret(Operation[Secret], frozen=True, kw_only=True):
    """Keep a value under a name, in the place of what was there.

    Attributes:
        name: 1 to 250 characters.
        value: Text of 1 to 65,536 characters.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
    value: str

    def __repr__(self) -> str:
        return f"SetSecret(name={self.name!r}, value=***)"


class GetSecret(Operation[SecretValue], frozen=True, kw_only=True):
    """Get the value of a secret. It counts as a command, for the audit log tells who got it."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    answers_secret: ClassVar[bool] = True
    name: str


class ListSecrets(Operation[list[Secret]], frozen=True, kw_only=True):
    """List secrets by name, without their values."""

    permission: ClassVar[str] = "work"


class DeleteSecret(Operation[Secret], frozen=True, kw_only=True):
    """Delete a secret; answers it as it was."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
