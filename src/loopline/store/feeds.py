"""Feeds in the store: what they are, what arrived, and what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records.feeds import Arrival, FeedSpec, RefusedBatch, RegisteredFeed
from loopline.records.identity import Thing
from loopline.rules.feeds import check_arrival, check_feed, check_hash, later_of
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.projects import ensure_project

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "add_arrival",
    "delete_feed",
    "ensure_feed",
    "feed_record",
    "get_feed",
    "list_arrivals",
    "list_feeds",
    "list_refusals",
    "refuse_batch",
]

_feed = schema.feed
_arrival = schema.feed_arrival
_refusal = schema.feed_refusal
MOST_LISTED = 10_000


def ensure_feed(store: Store, connection: Connection, call: ops.EnsureFeed) -> RegisteredFeed:
    """Make a feed, or say anew what it is.

    Raises:
        ConflictError: It has rows, and how they are told is not what is asked for.
    """
    check_feed(call.name, call.spec)
    row = connection.execute(select(_feed).where(_feed.c.name == call.name)).first()
    document = msgspec.json.encode(call.spec).decode()
    if row is None:
        if call.project:
            ensure_project(connection, call.project, store.clock())
        connection.execute(
            insert(_feed).values(
                name=call.name, project=call.project, document=document, created_ms=store.clock()
            )
        )
        return feed_record(connection, call.name)
    known = msgspec.json.decode(row.document, type=FeedSpec)
    if row.rows:
        for field in ("own", "order_by", "key", "ingested_at"):
            was, asked = getattr(known, field), getattr(call.spec, field)
            if was != asked:
                msg = (
                    f"The feed {call.name!r} has {row.rows:,} rows told by {field}={was!r}; with "
                    f"{field}={asked!r} they would be others. Give the feed another name, or "
                    f"delete it: loopline feeds delete {call.name}"
                )
                raise ConflictError(msg)
    if call.project and call.project != row.project:
        msg = f"The feed {call.name!r} belongs to project {row.project!r}. Take another name."
        raise ConflictError(msg)
    if document != row.document:
        connection.execute(update(_feed).where(_feed.c.name == call.name).values(document=document))
    return feed_record(connection, call.name)


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(_feed).where(_feed.c.name == name)).first()
    if row is None:
        seen = only_visible(connection, Thing.PROJECT, _feed.c.project)
        known = connection.execute(select(_feed.c.name).where(*seen).limit(1000)).scalars()
        raise NotFoundError.among("feed", name, known, hint="List them with `loopline feeds list`.")
    return row


def feed_record(connection: Connection, name: str) -> RegisteredFeed:
    """Get a feed.

    Raises:
        NotFoundError: There is none of this name.
    """
    return _record(connection, _row(connection, name))


def _record(connection: Connection, row: Row[Any]) -> RegisteredFeed:
    refused = select(func.count()).where(_refusal.c.feed == row.name)
    newest = select(_arrival).where(_arrival.c.feed == row.name)
    last = connection.execute(newest.order_by(_arrival.c.number.desc()).limit(1)).first()
    arrival = None if last is None else _decode(last)
    return RegisteredFeed(
        name=row.name,
        project=row.project,
        spec=msgspec.json.decode(row.document, type=FeedSpec),
        created_ms=row.created_ms,
        rows=row.rows,
        arrivals=0 if arrival is None else arrival.number,
        refused=connection.execute(refused).scalar_one(),
        order_until=msgspec.json.decode(row.order_until) if row.order_until else None,
        columns={} if arrival is None else arrival.columns,
        last_ms=0 if arrival is None else arrival.at_ms,
    )


def _decode(row: Row[Any]) -> Arrival:
    return msgspec.structs.replace(
        msgspec.json.decode(row.document, type=Arrival),
        number=row.number,
        first=row.first,
        rows=row.rows,
        at_ms=row.at_ms,
        keys=row.keys_sha256,
    )


def get_feed(_store: Store, connection: Connection, call: ops.GetFeed) -> RegisteredFeed:
    """Get a feed."""
    return feed_record(connection, call.name)


def list_feeds(_store: Store, connection: Connection, _call: ops.ListFeeds) -> list[RegisteredFeed]:
    """List feeds by name."""
    seen = only_visible(connection, Thing.PROJECT, _feed.c.project)
    rows = connection.execute(select(_feed).where(*seen).order_by(_feed.c.name)).all()
    return [_record(connection, row) for row in rows]


def delete_feed(_store: Store, connection: Connection, call: ops.DeleteFeed) -> RegisteredFeed:
    """Forget a feed and what arrived."""
    gone = feed_record(connection, call.name)
    for table in (_arrival, _refusal):
        connection.execute(delete(table).where(table.c.feed == call.name))
    connection.execute(delete(_feed).where(_feed.c.name == call.name))
    return gone


def add_arrival(store: Store, connection: Connection, call: ops.AddArrival) -> RegisteredFeed:
    """Say that rows arrived.

    Raises:
        ConflictError: They do not begin where the feed ends: somebody else was faster.
    """
    row = _row(connection, call.name)
    arrival = call.arrival
    check_arrival(arrival)
    # The condition holds the row: of two who say so at once one finds nothing.
    known = msgspec.json.decode(row.order_until) if row.order_until else None
    greatest = later_of(known, arrival.order_until)
    moved = connection.execute(
        update(_feed)
        .where(_feed.c.name == call.name, _feed.c.rows == arrival.first)
        .values(
            rows=arrival.first + arrival.rows,
            order_until="" if greatest is None else msgspec.json.encode(greatest).decode(),
        )
    )
    if not moved.rowcount:
        msg = (
            f"Rows of {call.name!r} begin at {row.rows:,} and not at {arrival.first:,}: somebody "
            "else found them meanwhile. Look again."
        )
        raise ConflictError(msg)
    number = select(func.coalesce(func.max(_arrival.c.number), 0)).where(
        _arrival.c.feed == call.name
    )
    connection.execute(
        insert(_arrival).values(
            feed=call.name,
            number=connection.execute(number).scalar_one() + 1,
            first=arrival.first,
            rows=arrival.rows,
            at_ms=store.clock(),
            keys_sha256=arrival.keys,
            flow_run_id=arrival.flow_run_id,
            document=msgspec.json.encode(arrival).decode(),
        )
    )
    return feed_record(connection, call.name)


def list_arrivals(_store: Store, connection: Connection, call: ops.ListArrivals) -> list[Arrival]:
    """List what arrived, oldest first. Index scan over the feed's arrivals."""
    _check_limit(call.limit)
    _row(connection, call.name)
    rows = connection.execute(
        select(_arrival)
        .where(_arrival.c.feed == call.name, _arrival.c.number > call.after)
        .order_by(_arrival.c.number)
        .limit(call.limit)
    )
    return [_decode(row) for row in rows]


def refuse_batch(store: Store, connection: Connection, call: ops.RefuseBatch) -> RefusedBatch:
    """Note a refused batch, once for each content."""
    _row(connection, call.name)
    refused = call.refused
    check_hash("content of a batch", refused.content)
    if not refused.batch.strip() or not refused.problems:
        msg = "A refused batch has a name, and says what is wrong with it."
        raise InvalidInputError(msg)
    if refused.content:
        same = select(_refusal).where(
            _refusal.c.feed == call.name, _refusal.c.content == refused.content
        )
        row = connection.execute(same).first()
        if row is not None:
            return msgspec.json.decode(row.document, type=RefusedBatch)
    noted = msgspec.structs.replace(refused, at_ms=store.clock())
    connection.execute(
        insert(_refusal).values(
            feed=call.name,
            at_ms=noted.at_ms,
            content=noted.content,
            document=msgspec.json.encode(noted).decode(),
        )
    )
    return noted


def list_refusals(
    _store: Store, connection: Connection, call: ops.ListRefusals
) -> list[RefusedBatch]:
    """List refused batches, newest first."""
    _check_limit(call.limit)
    _row(connection, call.name)
    rows = connection.execute(
        select(_refusal.c.document)
        .where(_refusal.c.feed == call.name)
        .order_by(_refusal.c.id.desc())
        .limit(call.limit)
    )
    return [msgspec.json.decode(row.document, type=RefusedBatch) for row in rows]


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_LISTED:
        msg = f"The limit must lie between 1 and {MOST_LISTED:,}, not be {limit}."
        raise InvalidInputError(msg)
