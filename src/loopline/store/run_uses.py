"""What runs read and made: data versions and logged models, of many runs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, select

from loopline.errors import InvalidInputError
from loopline.records.tracking import Dataset, ModelRole, RunInput, RunModel, RunUses
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["list_run_uses", "uses_of"]

MOST_RUNS = 50_000
#: Runs asked for with one statement.
TOGETHER = 500

_run = schema.run
_input = schema.run_input
_model = schema.run_model
#: Data versions and logged models of runs by number. Look-ups by primary key.
READ = (
    select(_input.c.run_pk, schema.dataset.c.document, _input.c.context, _input.c.tags)
    .join(schema.dataset, schema.dataset.c.id == _input.c.dataset_id)
    .where(_input.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(schema.dataset.c.id)
)
USED = (
    select(_model.c.run_pk, _model.c.model_id, _model.c.role, _model.c.step)
    .where(_model.c.run_pk.in_(bindparam("pks", expanding=True)))
    .order_by(_model.c.role, _model.c.step, _model.c.model_id)
)
_decoder = msgspec.json.Decoder(Dataset)


def list_run_uses(_store: Store, connection: Connection, call: ops.ListRunUses) -> list[RunUses]:
    """List what many runs read and made: three statements for every 500 runs."""
    if len(call.run_ids) > MOST_RUNS:
        msg = f"At most {MOST_RUNS:,} runs are asked for at once; {len(call.run_ids):,} were."
        raise InvalidInputError(msg)
    found: list[RunUses] = []
    for start in range(0, len(call.run_ids), TOGETHER):
        some = call.run_ids[start : start + TOGETHER]
        query = select(_run.c.pk, _run.c.run_id).where(_run.c.run_id.in_(some))
        found += uses_of(connection, {row.pk: row.run_id for row in connection.execute(query)})
    return found


def uses_of(connection: Connection, runs: Mapping[int, str]) -> list[RunUses]:
    """Tell what some hundreds of runs read and made, given their numbers and ids.

    Two look-ups by primary key for each. Runs that did neither are left out.
    """
    asked = {"pks": list(runs)}
    inputs: dict[int, list[RunInput]] = {}
    for pk, document, context, tags in connection.execute(READ, asked):
        each = RunInput(
            dataset=_decoder.decode(document), context=context, tags=msgspec.json.decode(tags)
        )
        inputs.setdefault(pk, []).append(each)
    models: dict[int, list[RunModel]] = {}
    for pk, model_id, role, step in connection.execute(USED, asked):
        models.setdefault(pk, []).append(
            RunModel(model_id=model_id, role=ModelRole(role), step=step)
        )
    return [
        RunUses(run_id=runs[pk], inputs=inputs.get(pk, []), models=models.get(pk, []))
        for pk in dict.fromkeys((*inputs, *models))
    ]
