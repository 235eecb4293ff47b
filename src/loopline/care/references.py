"""Which blobs are needed: every place of the store that names one, in one list.

Who lets a new column name a blob adds it here; a test holds the list and the schema together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from loopline.records.base import Record
from loopline.records.flows import FlowCode
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Column, Connection, Select

__all__ = ["COLUMNS", "DOCUMENTS", "References", "read_references", "still_referenced"]

#: Columns that hold the SHA-256 of a blob, among other things (a small result is kept inline).
COLUMNS: tuple[Column[str], ...] = (
    schema.artifact.c.sha256,
    schema.feed_arrival.c.keys_sha256,
    schema.logged_model_file.c.sha256,
    schema.model_version_file.c.sha256,
    schema.task_run.c.result,
)
#: Documents that may hold hashes: versions of flows with their code, and refused facts.
DOCUMENTS: tuple[Column[str], ...] = (
    schema.flow_version.c.document,
    schema.refused.c.fact,
)

_HEX = 64
_WHOLE = re.compile(r"[0-9a-f]{64}\Z")
_INSIDE = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
#: Rows fetched at a time, and hashes asked for at a time.
_ROWS, _ASKED = 10_000, 500


class References(Record, frozen=True, kw_only=True):
    """The blobs that a store names: SHA-256 as 32 bytes each, 100 MB a million.

    Attributes:
        named: These must be there: artifacts, files of model versions, results, code of flows.
        possible: Any other text of 64 hex digits in a document. A hash too many keeps a file; one
            too few would lose it. That such a blob is missing means nothing.
    """

    named: set[bytes]
    possible: set[bytes]

    @property
    def everything(self) -> set[bytes]:
        """Every blob that must not be deleted."""
        return self.named | self.possible


class _Version(Record, frozen=True, kw_only=True):
    """The part of a flow version's document that names blobs."""

    code: FlowCode | None = None


def read_references(connection: Connection) -> References:
    """Read the hash of every blob that the store names."""
    named: set[bytes] = set()
    for column in COLUMNS:
        query = select(column).where(func.length(column) == _HEX).distinct()
        named.update(
            bytes.fromhex(each) for each in _texts(connection, query) if _WHOLE.match(each)
        )
    for document in _texts(connection, select(schema.flow_version.c.document)):
        code = msgspec.json.decode(document, type=_Version).code or FlowCode(kind="")
        named.update(bytes.fromhex(each) for each in (code.blob, code.bundle) if each)
    return References(named=named, possible=_in_documents(connection) - named)


def still_referenced(connection: Connection, digests: Collection[bytes]) -> set[bytes]:
    """Tell which of some blobs the store names now.

    Costs a search in an index for each, and one reading of the documents and the task runs.
    """
    asked = sorted(digest.hex() for digest in digests)
    found: set[bytes] = set()
    for column in COLUMNS:
        for at in range(0, len(asked), _ASKED):
            query = select(column).where(column.in_(asked[at : at + _ASKED])).distinct()
            found.update(bytes.fromhex(each) for each in _texts(connection, query))
    return found | (_in_documents(connection) & set(digests))


def _in_documents(connection: Connection) -> set[bytes]:
    return {
        bytes.fromhex(digest)
        for column in DOCUMENTS
        for document in _texts(connection, select(column))
        for digest in _INSIDE.findall(document)
    }


def _texts(connection: Connection, query: Select[Any]) -> Iterator[str]:
    for rows in connection.execute(query).scalars().partitions(_ROWS):
        yield from rows
