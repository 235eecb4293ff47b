"""The state tree, as Prefect 1 has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from loopline.errors import InvalidInputError
from loopline.flows import states
from loopline.flows.states import (
    Cached,
    Cancelled,
    Cancelling,
    ClientFailed,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Queued,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
    TriggerFailed,
    ValidationFailed,
)
from loopline.records.flows import StateKind

#: Each kind of state, its parent, and what it says of itself.
TREE: dict[type[State], tuple[type[State], set[str]]] = {
    Pending: (State, {"pending"}),
    Scheduled: (Pending, {"pending", "scheduled"}),
    Paused: (Scheduled, {"pending", "scheduled"}),
    Resume: (Scheduled, {"pending", "scheduled"}),
    Retrying: (Scheduled, {"pending", "scheduled", "retrying"}),
    Submitted: (State, {"submitted", "meta_state"}),
    Queued: (State, {"queued", "scheduled", "meta_state"}),
    ClientFailed: (State, {"meta_state"}),
    Running: (State, {"running"}),
    Cancelling: (Running, {"running"}),
    Finished: (State, {"finished"}),
    Looped: (Finished, {"finished", "looped"}),
    Success: (Finished, {"finished", "successful"}),
    Cached: (Success, {"finished", "successful", "cached"}),
    Mapped: (Success, {"finished", "successful", "mapped"}),
    Skipped: (Success, {"finished", "successful", "skipped"}),
    Failed: (Finished, {"finished", "failed"}),
    TimedOut: (Failed, {"finished", "failed"}),
    TriggerFailed: (Failed, {"finished", "failed"}),
    ValidationFailed: (Failed, {"finished", "failed"}),
    Cancelled: (Finished, {"finished", "cancelled"}),
}
QUESTIONS = [name for name in dir(State) if name.startswith("is_")]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_each_state_has_its_place_and_says_what_it_is(kind: type[State]) -> None:
    parent, true = TREE[kind]
    state = kind()
    assert kind.parents()[0] is parent
    assert {name for name in QUESTIONS if getattr(state, name)()} == {f"is_{each}" for each in true}
    assert kind.kind.value == kind.__name__
    assert states.make_state(kind.kind) == state


def test_every_state_a_store_knows_has_a_class() -> None:
    assert {state.kind for state in TREE} == set(StateKind)
    assert set(State.children()) == set(TREE)


def test_children_and_parents_can_be_asked_for_by_name() -> None:
    assert Failed.children(names_only=True) == ["TimedOut", "TriggerFailed", "ValidationFailed"]
    assert Retrying.parents(include_self=True, names_only=True) == [
        "Retrying", "Scheduled", "Pending", "State",
    ]  # fmt: skip


def test_states_are_equal_by_kind_and_result() -> None:
    assert Success("one", 1) == Success("other", 1)
    assert Success("one", 1) != Success("one", 2)
    assert Success() != Cached()
    assert repr(Success("done")) == "<Success: 'done'>"
    assert repr(Success()) == "<Success>"


def test_a_state_about_a_state_is_about_the_innermost_one() -> None:
    pending = Pending("waits")
    assert Submitted(state=Queued(state=pending)).state is pending


def test_a_mapped_state_has_the_results_of_its_children() -> None:
    state = Mapped(map_states=[Success(result=1), Failed(result=None)])
    assert state.result == [1, None]
    assert state.n_map_states == 2
    assert Mapped(n_map_states=7).n_map_states == 7


def test_context_and_cached_inputs_are_each_states_own() -> None:
    one, other = Success(context={"tags": ["taxi"]}), Success()
    other.context["rows"] = 3
    assert (one.context, other.context) == ({"tags": ["taxi"]}, {"rows": 3})
    assert one.load_cached_results({"x": 1}).cached_inputs == {"x": 1}
    assert other.load_result(5).result == 5


AT = datetime(2022, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "state",
    [
        Success("done", {"rmse": 3.9, "rows": [1, 2, None, "x"]}),
        Retrying("again", start_time=AT, run_count=2),
        Paused("waits"),
        Looped("round", 4, loop_count=3),
        Cached("old", 1, cached_parameters={"month": "2022-03"}, hashed_inputs={"x": "ab"},
               cached_result_expiration=AT),
        Mapped("all", map_states=[Success(result=1), Skipped("no")]),
        Submitted("sent", state=Scheduled(start_time=AT)),
        Failed("broken", context={"tags": ["taxi"]}),
    ],
    ids=lambda state: type(state).__name__,
)  # fmt: skip
def test_a_state_survives_json(state: State) -> None:
    text = json.dumps(state.serialize())
    read = State.deserialize(text)
    assert read == state
    assert read.serialize() == state.serialize()
    assert (read.message, read.context) == (state.message, state.context)
    assert getattr(read, "start_time", None) == getattr(state, "start_time", None)


@pytest.mark.parametrize("value", [object(), (1, 2), {1: 2}, float("nan"), b"x", Success()])
def test_what_json_cannot_give_back_as_it_was_is_left_out(value: object) -> None:
    assert "result" not in Success(result=value).serialize()


@pytest.mark.parametrize(
    "blob",
    ["", "[]", "null", {}, {"type": "State; import os"}, {"type": "Paused", "start_time": 3},
     {"type": "Mapped", "map_states": [{}]}, {"type": "Success", "context": 5}],
)  # fmt: skip
def test_what_is_no_state_is_refused(blob: object) -> None:
    with pytest.raises(InvalidInputError, match="no state"):
        State.deserialize(blob)  # type: ignore[arg-type] # what strangers send


def test_a_scheduled_state_starts_now_and_a_paused_one_never() -> None:
    assert Paused().start_time is None
    start = Scheduled().start_time
    assert start is not None
    assert abs(start - datetime.now(UTC)) < timedelta(minutes=1)
