"""Policies in the store: each change is a row, so that a decision can name the one it followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, insert, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.identity import Thing
from loopline.records.policies import Approval, KeptPolicy, Policy
from loopline.rules.gates import check_gates
from loopline.rules.windows import parse_window
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.registry_models import create_model
from loopline.store.registry_rows import find_stage, model_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.store.database import Store

__all__ = [
    "approvers_of",
    "delete_policy",
    "find_policy",
    "get_policy",
    "list_policies",
    "set_policy",
]

_policy = schema.policy


def set_policy(store: Store, connection: Connection, call: ops.SetPolicy) -> KeptPolicy:
    """Decide over a model by this from now on."""
    policy = call.policy
    _check(policy)
    known = select(schema.model.c.name).where(schema.model.c.name == policy.model)
    if connection.execute(known).first() is None:
        create_model(store, connection, ops.CreateModel(name=policy.model, actor=call.actor))
    policy = msgspec.structs.replace(
        policy, stage=find_stage(connection, policy.model, policy.stage)
    )
    before = find_policy(connection, policy.model, policy.stage)
    if before is not None and before.policy == policy:
        return before
    document = msgspec.json.encode(policy).decode()
    return _add(store, connection, policy.model, policy.stage, document, call.actor)


def _check(policy: Policy) -> None:
    check_gates(policy.gates, policy.metric)
    for window in (policy.window, policy.train_window):
        if window:
            parse_window(window)
    rule = policy.rollback
    if rule is not None and (rule.at_most_worse < 0 or rule.for_s < 0 or rule.min_rows < 1):
        msg = (
            "A rollback needs at_most_worse and for_s of 0 or more, and min_rows of 1 or more: "
            "Rollback(at_most_worse=0.2, for_s=3600, min_rows=100)."
        )
        raise InvalidInputError(msg)


def _add(
    store: Store, connection: Connection, name: str, stage: str, document: str, actor: str
) -> KeptPolicy:
    newest = select(func.coalesce(func.max(_policy.c.number), 0)).where(
        _policy.c.name == name, _policy.c.stage == stage
    )
    number = connection.execute(newest).scalar_one() + 1
    now_ms = store.clock()
    connection.execute(
        insert(_policy).values(
            name=name, stage=stage, number=number, at_ms=now_ms, actor=actor, document=document
        )
    )
    policy = msgspec.json.decode(document, type=Policy) if document else Policy(model=name)
    return KeptPolicy(policy=policy, number=number, at_ms=now_ms, actor=actor)


def find_policy(connection: Connection, name: str, stage: str) -> KeptPolicy | None:
    """Find the policy that counts for a stage now; None: there is none."""
    row = connection.execute(
        select(_policy)
        .where(_policy.c.name == name, _policy.c.stage == stage)
        .order_by(_policy.c.number.desc())
        .limit(1)
    ).first()
    return None if row is None or not row.document else _record(row)


def _record(row: Row[Any]) -> KeptPolicy:
    # The model may have been renamed since.
    policy = msgspec.structs.replace(msgspec.json.decode(row.document, type=Policy), model=row.name)
    return KeptPolicy(policy=policy, number=row.number, at_ms=row.at_ms, actor=row.actor)


def get_policy(_store: Store, connection: Connection, call: ops.GetPolicy) -> KeptPolicy:
    """Get the policy of a model's stage."""
    model_row(connection, call.name)
    stage = find_stage(connection, call.name, call.stage)
    found = find_policy(connection, call.name, stage)
    if found is None:
        msg = (
            f"No policy decides over {stage} of {call.name!r}. Set one: "
            f"`loopline policies set FILE`, or lifecycle.set_policy(...)."
        )
        raise NotFoundError(msg)
    return found


def list_policies(
    _store: Store, connection: Connection, call: ops.ListPolicies
) -> list[KeptPolicy]:
    """List the policies that count now."""
    newest = (
        select(_policy.c.name, _policy.c.stage, func.max(_policy.c.number).label("number"))
        .where(*only_visible(connection, Thing.MODEL, _policy.c.name))
        .group_by(_policy.c.name, _policy.c.stage)
    )
    if call.name:
        model_row(connection, call.name)
        newest = newest.where(_policy.c.name == call.name)
    last = newest.subquery()
    rows = connection.execute(
        select(_policy)
        .join(
            last,
            (_policy.c.name == last.c.name)
            & (_policy.c.stage == last.c.stage)
            & (_policy.c.number == last.c.number),
        )
        .where(_policy.c.document != "")
        .order_by(_policy.c.name, _policy.c.stage)
    )
    return [_record(row) for row in rows]


def delete_policy(store: Store, connection: Connection, call: ops.DeletePolicy) -> KeptPolicy:
    """Decide by no policy any more."""
    found = get_policy(store, connection, ops.GetPolicy(name=call.name, stage=call.stage))
    _add(store, connection, call.name, found.policy.stage, "", call.actor)
    return found


def approvers_of(policy: KeptPolicy | None) -> list[str] | None:
    """Tell who must say yes by a policy; None: nobody must."""
    if policy is None:
        return None
    asked = [gate for gate in policy.policy.gates if isinstance(gate, Approval)]
    return sorted({name for gate in asked for name in gate.by}) if asked else None
