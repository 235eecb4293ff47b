"""What runs read and made: data versions and logged models, of many runs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from loopline.errors import InvalidInputError
from loopline.records.logged_models import ModelRole, RunModel, RunUses
from loopline.records.tracking import Dataset, RunInput
from loopline.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["list_run_uses"]

MOST_RUNS = 50_000
#: Runs asked for with one statement.
TOGETHER = 500

_run = schema.run
_input = schema.run_input
_model = schema.run_model
_decoder = msgspec.json.Decoder(Dataset)


def list_run_uses(_store: Store, connection: Connection, call: ops.ListRunUses) -> list[RunUses]:
    """List what many runs read and made: two statements for every 500 runs."""
    if len(call.run_ids) > MOST_RUNS:
        msg = f"At most {MOST_RUNS:,} runs are asked for at once; {len(call.run_ids):,} were."
        raise InvalidInputError(msg)
    found: list[RunUses] = []
    for start in range(0, len(call.run_ids), TOGETHER):
        found += _of_some(connection, call.run_ids[start : start + TOGETHER])
    return found


def _of_some(connection: Connection, run_ids: list[str]) -> list[RunUses]:
    inputs: dict[str, list[RunInput]] = {}
    read = (
        select(_run.c.run_id, schema.dataset.c.document, _input.c.context)
        .join(_input, _input.c.run_pk == _run.c.pk)
        .join(schema.dataset, schema.dataset.c.id == _input.c.dataset_id)
        .where(_run.c.run_id.in_(run_ids))
        .order_by(schema.dataset.c.id)
    )
    for run_id, document, context in connection.execute(read):
        each = RunInput(dataset=_decoder.decode(document), context=context)
        inputs.setdefault(run_id, []).append(each)
    models: dict[str, list[RunModel]] = {}
    used = (
        select(_run.c.run_id, _model.c.model_id, _model.c.role, _model.c.step)
        .join(_model, _model.c.run_pk == _run.c.pk)
        .where(_run.c.run_id.in_(run_ids))
        .order_by(_model.c.role, _model.c.step, _model.c.model_id)
    )
    for run_id, model_id, role, step in connection.execute(used):
        models.setdefault(run_id, []).append(
            RunModel(model_id=model_id, role=ModelRole(role), step=step)
        )
    return [
        RunUses(run_id=run_id, inputs=inputs.get(run_id, []), models=models.get(run_id, []))
        for run_id in dict.fromkeys((*inputs, *models))
    ]
