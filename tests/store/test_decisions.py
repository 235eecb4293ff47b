"""A decision and what it does are one: kept, moved, waited for, overtaken or taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.registry_story import NAME, events_of, register

from loopline.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.decisions import Decision, DecisionStatus
from loopline.records.policies import Approval, Bound, Gain, Policy, Slices
from loopline.records.registry import Stage
from loopline.rules.champions import champion_before

if TYPE_CHECKING:
    from random import Random

    from loopline.backend.local import LocalBackend
    from loopline.records.decisions import KeptDecision

CLIENTS = 32
DECISIONS = 100


def decision(challenger: int, champion: int | None = None, *, promote: bool = True) -> Decision:
    return Decision(
        promote=promote,
        rule=("better" if champion else "first") if promote else "not better",
        sentence=f"{'promoted' if promote else 'kept out'} v{challenger}",
        champion=champion,
        challenger=challenger,
        decision_id=f"decision on {challenger} over {champion}",
    )


def record(backend: LocalBackend, decided: Decision, *, dry_run: bool = False) -> KeptDecision:
    return backend.call(
        ops.RecordDecision(name=NAME, decision=decided, dry_run=dry_run, actor="nightly")
    )


def production(backend: LocalBackend) -> int | None:
    return backend.call(ops.GetModel(name=NAME)).champions.get("Production")


def test_a_decision_moves_its_version_and_is_kept_with_its_numbers(backend: LocalBackend) -> None:
    register(backend)
    kept = record(backend, decision(1))
    assert (kept.status, bool(kept)) == (DecisionStatus.PROMOTED, True)
    assert production(backend) == 1
    assert backend.call(ops.GetDecision(decision_id=kept.decision_id)) == kept
    (move,) = [event for event in events_of(backend) if event.kind == "stage"]
    assert (move.actor, move.reason) == ("nightly", kept.decision.sentence)


def test_a_decision_to_keep_and_a_dry_run_move_nothing(backend: LocalBackend) -> None:
    register(backend)
    assert record(backend, decision(1), dry_run=True).status is DecisionStatus.DRY_RUN
    assert production(backend) is None
    register(backend)
    assert record(backend, decision(2, promote=False)).status is DecisionStatus.KEPT
    assert production(backend) is None
    assert record(backend, decision(1)).status is DecisionStatus.PROMOTED  # Now in earnest.


def test_a_decision_sent_again_is_the_one_that_was_kept(backend: LocalBackend) -> None:
    register(backend)
    register(backend)
    first = record(backend, decision(1))
    record(backend, decision(2, 1))
    assert record(backend, decision(1)) == first  # Its answer had been lost.
    assert production(backend) == 2
    assert len(backend.call(ops.ListDecisions(name=NAME))) == 2


def test_a_hundred_racing_decisions_leave_one_champion_and_a_complete_history(
    backend: LocalBackend,
) -> None:
    for _ in range(DECISIONS + 1):
        register(backend)
    record(backend, decision(1))

    def decide(version: int) -> DecisionStatus:
        return record(backend, decision(version, 1)).status

    with ThreadPoolExecutor(CLIENTS) as threads:
        found = list(threads.map(decide, range(2, DECISIONS + 2)))

    assert found.count(DecisionStatus.PROMOTED) == 1
    assert found.count(DecisionStatus.OVERTAKEN) == DECISIONS - 1
    winner = found.index(DecisionStatus.PROMOTED) + 2
    assert production(backend) == winner
    versions = backend.call(ops.ListVersions(name=NAME))
    assert [v.version for v in versions if v.stage == Stage.PRODUCTION] == [winner]
    kept = backend.call(ops.ListDecisions(name=NAME, limit=1000))
    assert {each.decision.challenger for each in kept} == set(range(1, DECISIONS + 2))
    moves = [event for event in events_of(backend) if event.after == "Production"]
    assert [event.version for event in moves] == [1, winner]


# --- people ---------------------------------------------------------------------------------------


def ask_ada(backend: LocalBackend) -> None:
    policy = Policy(model=NAME, gates=[Gain(), Approval(by=["ada"])])
    backend.call(ops.SetPolicy(policy=policy))


def answer(backend: LocalBackend, kept: KeptDecision, actor: str, *, yes: bool) -> KeptDecision:
    return backend.call(
        ops.AnswerDecision(
            decision_id=kept.decision_id, approve=yes, reason="looks right", actor=actor
        )
    )


def test_what_a_person_must_approve_waits_for_their_yes(backend: LocalBackend) -> None:
    register(backend)
    ask_ada(backend)
    kept = record(backend, decision(1))
    assert kept.status is DecisionStatus.WAITING
    assert kept.decision.approvers == ["ada"]
    assert production(backend) is None
    assert backend.call(ops.ListDecisions(status="waiting")) == [kept]

    with pytest.raises(ForbiddenError, match="ada may"):
        answer(backend, kept, "bob", yes=True)
    with pytest.raises(InvalidInputError, match="Say why"):
        backend.call(
            ops.AnswerDecision(decision_id=kept.decision_id, approve=True, reason=" ", actor="ada")
        )
    assert production(backend) is None

    said = answer(backend, kept, "ada", yes=True)
    assert said.status is DecisionStatus.PROMOTED
    assert (said.answered_by, said.answer) == ("ada", "looks right")
    assert production(backend) == 1
    move = events_of(backend)[-1]
    assert (
        move.reason
        == "promoted v1: there was no champion to compare with; ada said yes: looks right"
    )
    with pytest.raises(ConflictError, match="waits for nobody"):
        answer(backend, kept, "ada", yes=False)


def test_a_no_moves_nothing(backend: LocalBackend) -> None:
    register(backend)
    ask_ada(backend)
    said = answer(backend, record(backend, decision(1)), "ada", yes=False)
    assert said.status is DecisionStatus.REFUSED
    assert production(backend) is None


def test_a_yes_that_comes_after_another_version_took_the_place_moves_nothing(
    backend: LocalBackend,
) -> None:
    register(backend)
    register(backend)
    ask_ada(backend)
    kept = record(backend, decision(2))
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    assert answer(backend, kept, "ada", yes=True).status is DecisionStatus.OVERTAKEN
    assert production(backend) == 1


def test_a_hundred_racing_answers_are_one(backend: LocalBackend) -> None:
    register(backend)
    ask_ada(backend)
    kept = record(backend, decision(1))

    def say(number: int) -> DecisionStatus | None:
        try:
            return answer(backend, kept, "ada", yes=bool(number % 2)).status
        except ConflictError:
            return None

    with ThreadPoolExecutor(CLIENTS) as threads:
        said = [status for status in threads.map(say, range(DECISIONS)) if status is not None]
    assert len(said) == 1
    assert (production(backend) == 1) == (said == [DecisionStatus.PROMOTED])


# --- taking back ----------------------------------------------------------------------------------


def roll_back(backend: LocalBackend, *, to: int | None = None, only_from: int | None = None) -> int:
    call = ops.RollBack(
        name=NAME, to=to, only_from=only_from, reason="riders complain", actor="ada"
    )
    return backend.call(call).version


def test_a_rollback_gives_the_place_back_and_tells_why(backend: LocalBackend) -> None:
    for number in (1, 2, 3):
        register(backend)
        record(backend, decision(number, number - 1 or None))
    assert roll_back(backend) == 2
    assert production(backend) == 2
    newest = backend.call(ops.ListDecisions(name=NAME))[0]
    assert newest.status is DecisionStatus.ROLLED_BACK
    assert newest.decision.sentence == "rolled back from v3 to v2: riders complain"
    # Once more goes back further, and not forth to what was bad.
    assert roll_back(backend) == 1
    with pytest.raises(ConflictError, match="none to go back to"):
        roll_back(backend)
    assert production(backend) == 1
    assert roll_back(backend, to=3) == 3


def test_a_rollback_from_another_version_than_the_one_that_is_there_is_refused(
    backend: LocalBackend,
) -> None:
    for number in (1, 2):
        register(backend)
        record(backend, decision(number, number - 1 or None))
    with pytest.raises(ConflictError, match="by now, not v1"):
        roll_back(backend, only_from=1)
    assert roll_back(backend, to=1, only_from=2) == 1
    assert roll_back(backend, to=1, only_from=2) == 1  # The answer was lost.


def test_a_deleted_version_is_passed_over(backend: LocalBackend) -> None:
    for number in (1, 2, 3):
        register(backend)
        record(backend, decision(number, number - 1 or None))
    backend.call(ops.DeleteVersion(name=NAME, version=2))
    assert roll_back(backend) == 1


@given(st.lists(st.integers(1, 5), max_size=12))
def test_going_back_again_and_again_ends(held: list[int]) -> None:
    champion = held[-1] if held else 1
    seen = []
    while (before := champion_before(champion, held)) is not None:
        assert before != champion
        held = [*held, before]
        champion = before
        seen.append(before)
    assert len(seen) == len(set(seen)) < 5


# --- policies -------------------------------------------------------------------------------------


def test_each_change_of_a_policy_is_kept_and_the_same_again_is_none(backend: LocalBackend) -> None:
    first = backend.call(ops.SetPolicy(policy=Policy(model=NAME), actor="ada"))
    assert (first.number, first.actor) == (1, "ada")
    assert backend.call(ops.SetPolicy(policy=Policy(model=NAME, stage="production"))) == first
    stricter = Policy(model=NAME, gates=[Gain(at_least=0.1), Slices(by="borough")])
    second = backend.call(ops.SetPolicy(policy=stricter))
    assert second.number == 2
    assert backend.call(ops.GetPolicy(name=NAME)).policy == stricter
    register(backend)
    assert record(backend, decision(1)).policy == 2

    assert backend.call(ops.DeletePolicy(name=NAME)) == second
    assert backend.call(ops.ListPolicies()) == []
    with pytest.raises(NotFoundError, match="No policy decides over Production"):
        backend.call(ops.GetPolicy(name=NAME))
    assert backend.call(ops.SetPolicy(policy=stricter)).number == 4


def test_a_policy_follows_the_model_that_is_renamed_and_goes_with_it(
    backend: LocalBackend,
) -> None:
    backend.call(ops.SetPolicy(policy=Policy(model=NAME)))
    register(backend)
    kept = record(backend, decision(1))
    backend.call(ops.RenameModel(name=NAME, new_name="fares"))
    assert backend.call(ops.GetPolicy(name="fares")).policy.model == "fares"
    assert backend.call(ops.GetDecision(decision_id=kept.decision_id)).name == "fares"
    backend.call(ops.DeleteModel(name="fares"))
    assert backend.call(ops.ListPolicies()) == []
    # What was decided is history.
    assert [each.decision_id for each in backend.call(ops.ListDecisions())] == [kept.decision_id]


def test_a_policy_that_cannot_be_changes_nothing(backend: LocalBackend) -> None:
    for policy in (
        Policy(model=NAME, metric="r2"),
        Policy(model=NAME, gates=[Bound()]),
        Policy(model=NAME, gates=[Gain(confidence=95)]),
        Policy(model="", gates=[]),
    ):
        with pytest.raises(InvalidInputError):
            backend.call(ops.SetPolicy(policy=policy))
    assert backend.call(ops.ListModels()) == []


def test_what_is_asked_wrongly_is_said(backend: LocalBackend) -> None:
    register(backend)
    with pytest.raises(NotFoundError, match="decisions list"):
        backend.call(ops.GetDecision(decision_id="no such"))
    with pytest.raises(InvalidInputError, match="promoted, kept, waiting"):
        backend.call(ops.ListDecisions(status="lost"))
    with pytest.raises(NotFoundError):
        record(backend, decision(7))
    with pytest.raises(ConflictError, match="No version"):
        roll_back(backend)
    with pytest.raises(InvalidInputError, match="Say why"):
        backend.call(ops.RollBack(name=NAME, reason=" "))


@given(st.randoms())
def test_decisions_travel_as_they_are(random_: Random) -> None:
    decided = msgspec.structs.replace(decision(1), score=random_.random())
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Decision) == decided
