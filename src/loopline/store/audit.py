"""The audit log: rows that are only added, each with a hash that covers the one before.

A row that is changed, taken out or put in between later no longer fits; ``verify_audit`` finds the
first. That the newest rows are still there shows only against a hash kept elsewhere.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select

from loopline.errors import InvalidInputError
from loopline.records.identity import AuditPage, AuditRow, AuditVerdict, Caller
from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["add_audit_row", "list_audit", "verify_audit"]

_audit = schema.audit
#: Rows on one page.
MOST = 1_000
#: Characters of what something was like that are kept; a graph or a description may be long.
MOST_TEXT = 20_000
#: Rows checked with one statement.
TOGETHER = 1_000
#: The newest row. Primary key look-up.
NEWEST = select(_audit.c.number, _audit.c.hash).order_by(_audit.c.number.desc()).limit(1)


def add_audit_row(
    store: Store,
    connection: Connection,
    caller: Caller,
    action: str,
    subject: str,
    *,
    before: object = None,
    after: object = None,
) -> None:
    """Add a row, in the transaction of what it tells of: neither is there without the other."""
    newest = connection.execute(NEWEST).first()
    fields: dict[str, Any] = {
        "number": 1 if newest is None else newest.number + 1,
        "at_ms": store.clock(),
        "actor": caller.name,
        "how": caller.how,
        "address": caller.address,
        "action": action,
        "subject": subject[:MOST_TEXT],
        "before": _said(before),
        "after": _said(after),
        "previous": "" if newest is None else newest.hash,
    }
    connection.execute(insert(_audit).values(**fields, hash=_hash(fields)))


def _said(value: object) -> str:
    if value is None:
        return ""
    text = msgspec.json.encode(value).decode()
    if len(text) <= MOST_TEXT:
        return text
    whole = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:MOST_TEXT]}… (in all {len(text)} characters, SHA-256 {whole})"


def _hash(fields: dict[str, Any]) -> str:
    said = [fields[name] for name in AuditRow.__struct_fields__ if name != "hash"]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def list_audit(_store: Store, connection: Connection, call: ops.ListAudit) -> AuditPage:
    """List the log, newest first."""
    if not 1 <= call.limit <= MOST:
        msg = f"The limit must lie between 1 and {MOST:,}, not be {call.limit}."
        raise InvalidInputError(msg)
    query = select(_audit).order_by(_audit.c.number.desc()).limit(call.limit + 1)
    if call.before:
        query = query.where(_audit.c.number < call.before)
    if call.actor:
        query = query.where(_audit.c.actor == call.actor)
    if call.subject:
        query = query.where(_audit.c.subject == call.subject)
    rows = [_record(row) for row in connection.execute(query).all()]
    shown = rows[: call.limit]
    return AuditPage(rows=shown, next_before=shown[-1].number if len(rows) > len(shown) else 0)


def verify_audit(_store: Store, connection: Connection, _call: ops.VerifyAudit) -> AuditVerdict:
    """Check every row. Reads the whole log, a thousand rows at a time."""
    checked, head = 0, ""
    while True:
        query = select(_audit).where(_audit.c.number > checked).order_by(_audit.c.number)
        rows = connection.execute(query.limit(TOGETHER)).all()
        for row in rows:
            fields = row._asdict()
            fits = row.number == checked + 1 and row.previous == head and row.hash == _hash(fields)
            if not fits:
                return AuditVerdict(rows=checked, broken_at=checked + 1, head=head)
            checked, head = row.number, row.hash
        if len(rows) < TOGETHER:
            return AuditVerdict(rows=checked, head=head)


def _record(row: Row[Any]) -> AuditRow:
    return AuditRow(**row._asdict())
