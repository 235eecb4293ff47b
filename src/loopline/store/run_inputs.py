"""What a run read: a data version, made once under each name, and what it was read for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert, select

from loopline.rules.watermarks import feed_of
from loopline.store import schema
from loopline.store.inserted import inserted_id
from loopline.store.upserts import InsertOrIgnore, InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import facts as f

__all__ = ["write_input"]


def write_input(connection: Connection, run_pk: int | None, fact: f.InputLogged) -> None:
    """Write down that a run, by its number here, read a data version."""
    table, dataset = schema.dataset, fact.dataset
    dataset_id = connection.execute(
        select(table.c.id).where(table.c.name == dataset.name, table.c.digest == dataset.digest)
    ).scalar_one_or_none()
    if dataset_id is None:
        made = connection.execute(
            insert(table).values(
                name=dataset.name,
                digest=dataset.digest,
                feed=feed_of(dataset.source),
                document=msgspec.json.encode(dataset).decode(),
            )
        )
        dataset_id = inserted_id(made)
    values = {"run_pk": run_pk, "dataset_id": dataset_id, "context": fact.context}
    if fact.tags:  # The last ones count; to say it again without any takes none away.
        tags = msgspec.json.encode(fact.tags).decode()
        connection.execute(InsertOrReplace(schema.run_input).values(**values, tags=tags))
    else:
        connection.execute(InsertOrIgnore(schema.run_input).values(**values))
