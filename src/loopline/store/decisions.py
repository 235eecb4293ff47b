"""Decisions in the store: kept and acted on in one transaction, both or neither.

Of decisions that race each other one moves its version: a move names the champion that was compared
with, and the others find another one there and are kept as overtaken.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select, update

from loopline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.decisions import Decision, DecisionStatus, KeptDecision
from loopline.records.identity import Thing
from loopline.rules.champions import champion_before
from loopline.rules.gates import ask_people, say
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.policies import approvers_of, find_policy
from loopline.store.registry_moves import transition_stage
from loopline.store.registry_rows import find_stage, model_row, version_record, version_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records.registry import ModelVersion
    from loopline.store.database import Store

__all__ = [
    "answer_decision",
    "decision_record",
    "decisions_on",
    "get_decision",
    "list_decisions",
    "record_decision",
    "roll_back",
]

_decision = schema.decision
_event = schema.version_event
MOST = 1_000
LONGEST_REASON = 2_000


def record_decision(store: Store, connection: Connection, call: ops.RecordDecision) -> KeptDecision:
    """Keep a decision and act on it."""
    decision = call.decision
    if decision.decision_id and call.dry_run:  # It may be meant in earnest later.
        decision = msgspec.structs.replace(decision, decision_id=f"{decision.decision_id}-dry")
    if decision.decision_id:
        row = _row(connection, decision.decision_id)
        if row is not None and row.name != call.name:
            msg = f"Decision {decision.decision_id!r} is about {row.name!r}. Decide anew."
            raise ConflictError(msg)
        if row is not None:  # Its answer was lost.
            return _record(row)
    version_row(connection, call.name, decision.challenger)
    stage = find_stage(connection, call.name, call.stage)
    policy = find_policy(connection, call.name, stage)
    must = approvers_of(policy)
    if must is not None and decision.promote:
        decision = ask_people(decision, must or decision.approvers)
    if call.dry_run:
        status = DecisionStatus.DRY_RUN
    elif not decision.promote:
        status = DecisionStatus.KEPT
    elif decision.needs_approval:
        status = DecisionStatus.WAITING
    else:
        why = say(decision, DecisionStatus.PROMOTED)
        status = _move(store, connection, call.name, stage, decision, why, call.actor)
    decision = msgspec.structs.replace(decision, sentence=say(decision, status))
    return _insert(
        store, connection, call.name, stage, decision, status,
        actor=call.actor, policy=policy.number if policy else 0,
        run_id=call.run_id, flow_run_id=call.flow_run_id,
    )  # fmt: skip


def _insert(
    store: Store,
    connection: Connection,
    name: str,
    stage: str,
    decision: Decision,
    status: DecisionStatus,
    **columns: Any,  # noqa: ANN401 - columns
) -> KeptDecision:
    decision_id = decision.decision_id or uuid.uuid4().hex
    decision = msgspec.structs.replace(decision, decision_id=decision_id)
    connection.execute(
        insert(_decision).values(
            decision_id=decision_id,
            name=name,
            stage=stage,
            status=status,
            at_ms=store.clock(),
            challenger=decision.challenger,
            document=msgspec.json.encode(decision).decode(),
            **columns,
        )
    )
    return decision_record(connection, decision_id)


def _move(
    store: Store,
    connection: Connection,
    name: str,
    stage: str,
    decision: Decision,
    reason: str,
    actor: str,
) -> DecisionStatus:
    """Give the challenger its place, if the champion is still the one it was compared with."""
    move = ops.TransitionStage(
        name=name,
        version=decision.challenger,
        stage=stage,
        only_after=decision.champion or 0,
        reason=reason,
        actor=actor,
    )
    try:
        transition_stage(store, connection, move)
    except ConflictError:
        return DecisionStatus.OVERTAKEN
    return DecisionStatus.PROMOTED


def answer_decision(store: Store, connection: Connection, call: ops.AnswerDecision) -> KeptDecision:
    """Say yes or no to a decision that waits for it."""
    kept = decision_record(connection, call.decision_id)
    reason = call.reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        msg = f"Say why, in 1 to {LONGEST_REASON:,} characters: the history keeps it."
        raise InvalidInputError(msg)
    if kept.status is not DecisionStatus.WAITING:
        msg = (
            f"This decision waits for nobody: it is {kept.status.value}. "
            "See which do: `loopline decisions list --status waiting`."
        )
        raise ConflictError(msg)
    approvers = kept.decision.approvers
    if approvers and call.actor not in approvers:
        msg = (
            f"{call.actor or 'Nobody'} may not answer this decision; "
            f"{', '.join(approvers)} may, by the policy of {kept.name!r}."
        )
        raise ForbiddenError(msg)
    status = DecisionStatus.REFUSED
    if call.approve:
        promoted = say(kept.decision, DecisionStatus.PROMOTED, who=call.actor or "somebody")
        status = _move(
            store, connection, kept.name, kept.stage, kept.decision, f"{promoted}: {reason}",
            call.actor,
        )  # fmt: skip
    decided = msgspec.structs.replace(
        kept.decision, sentence=say(kept.decision, status, who=call.actor)
    )
    connection.execute(
        update(_decision)
        .where(_decision.c.decision_id == call.decision_id)
        .values(
            status=status,
            answered_ms=store.clock(),
            answered_by=call.actor,
            answer=reason,
            document=msgspec.json.encode(decided).decode(),
        )
    )
    return decision_record(connection, call.decision_id)


def roll_back(store: Store, connection: Connection, call: ops.RollBack) -> ModelVersion:
    """Give a stage back to the version that was its champion before."""
    model_row(connection, call.name)
    stage = find_stage(connection, call.name, call.stage)
    if not call.reason.strip():
        msg = "Say why the model goes back: the history keeps it."
        raise InvalidInputError(msg)
    champions = schema.champion
    champion = connection.execute(
        select(champions.c.version).where(champions.c.name == call.name, champions.c.stage == stage)
    ).scalar()
    if champion is None:
        msg = f"No version of {call.name!r} is in {stage}, so that none can be taken back."
        raise ConflictError(msg)
    if call.only_from is not None and champion != call.only_from:
        if call.to is not None and champion == call.to:  # It was done, and the answer was lost.
            return version_record(connection, call.name, champion)
        msg = f"v{champion} of {call.name!r} is in {stage} by now, not v{call.only_from}."
        raise ConflictError(msg)
    before = call.to or _before(connection, call.name, stage, champion)
    if before == champion:
        msg = f"v{champion} of {call.name!r} is in {stage} already."
        raise ConflictError(msg)
    version_row(connection, call.name, before)
    sentence = f"rolled back from v{champion} to v{before}: {call.reason.strip()}"
    moved = transition_stage(
        store,
        connection,
        ops.TransitionStage(
            name=call.name,
            version=before,
            stage=stage,
            only_after=champion,
            reason=sentence,
            actor=call.actor,
        ),
    )
    decision = Decision(
        promote=True, rule="rollback", sentence=sentence, champion=champion, challenger=before
    )
    policy = find_policy(connection, call.name, stage)
    _insert(
        store, connection, call.name, stage, decision, DecisionStatus.ROLLED_BACK,
        actor=call.actor, policy=policy.number if policy else 0,
    )  # fmt: skip
    return moved


def _before(connection: Connection, name: str, stage: str, champion: int) -> int:
    """Find the champion before the one that is there, of those that still exist.

    Raises:
        ConflictError: There was none.
    """
    held = connection.execute(
        select(_event.c.version)
        .where(_event.c.name == name, _event.c.kind == "stage", _event.c.after == stage)
        .order_by(_event.c.id)
    ).scalars()
    versions = schema.model_version
    there = set(
        connection.execute(select(versions.c.version).where(versions.c.name == name)).scalars()
    )
    before = champion_before(champion, [version for version in held if version in there])
    if before is None:
        msg = (
            f"v{champion} of {name!r} is the first in {stage}: there is none to go back to. Name "
            f"one: `loopline models rollback {name} --to VERSION`."
        )
        raise ConflictError(msg)
    return before


def _row(connection: Connection, decision_id: str) -> Row[Any] | None:
    query = select(_decision).where(_decision.c.decision_id == decision_id)
    return connection.execute(query).first()


def decision_record(connection: Connection, decision_id: str) -> KeptDecision:
    """Get a decision.

    Raises:
        NotFoundError: There is none.
    """
    row = _row(connection, decision_id)
    if row is None:
        msg = f"No decision {decision_id[:80]!r}. List them: `loopline decisions list`."
        raise NotFoundError(msg)
    return _record(row)


def _record(row: Row[Any]) -> KeptDecision:
    return KeptDecision(
        decision_id=row.decision_id,
        name=row.name,
        stage=row.stage,
        status=DecisionStatus(row.status),
        decision=msgspec.json.decode(row.document, type=Decision),
        at_ms=row.at_ms,
        actor=row.actor,
        policy=row.policy,
        run_id=row.run_id,
        flow_run_id=row.flow_run_id,
        answered_ms=row.answered_ms,
        answered_by=row.answered_by,
        answer=row.answer,
    )


def decisions_on(connection: Connection, name: str, version: int, limit: int) -> list[KeptDecision]:
    """List the decisions on a version's place, newest first. Index look-up by model and version."""
    rows = connection.execute(
        select(_decision)
        .where(
            _decision.c.name == name,
            _decision.c.challenger == version,
            *only_visible(connection, Thing.MODEL, _decision.c.name),
        )
        .order_by(_decision.c.at_ms.desc())
        .limit(limit)
    )
    return [_record(row) for row in rows]


def get_decision(_store: Store, connection: Connection, call: ops.GetDecision) -> KeptDecision:
    """Get a decision."""
    return decision_record(connection, call.decision_id)


def list_decisions(
    _store: Store, connection: Connection, call: ops.ListDecisions
) -> list[KeptDecision]:
    """List decisions, newest first: an index look-up by model, or by status."""
    if not 1 <= call.limit <= MOST:
        msg = f"limit must lie between 1 and {MOST:,}."
        raise InvalidInputError(msg)
    query = select(_decision).where(*only_visible(connection, Thing.MODEL, _decision.c.name))
    if call.name:
        query = query.where(_decision.c.name == call.name)
    if call.stage:
        query = query.where(_decision.c.stage == call.stage)
    if call.status:
        if call.status not in set(DecisionStatus):
            known = ", ".join(status.value for status in DecisionStatus)
            msg = f"No decision is ever {call.status!r}. They are {known}."
            raise InvalidInputError(msg)
        query = query.where(_decision.c.status == call.status)
    rows = connection.execute(
        query.order_by(_decision.c.at_ms.desc(), _decision.c.decision_id).limit(call.limit)
    )
    return [_record(row) for row in rows]
