"""Tokens of pages are what the store gave out: changed or of another store, they are refused."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event, insert, update

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.facts import RunStarted
from loopline.store import schema
from loopline.store.page_tokens import decode_place, encode_place, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, STAMP = b"k" * 32, stamp_of("runs of the taxi")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PLACES = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(), max_size=5
)


@given(place=PLACES)
def test_a_token_leads_back_to_its_place(place: list[int | float | str]) -> None:
    token = encode_place(KEY, STAMP, tuple(place))
    assert decode_place(KEY, token, STAMP, len(place)) == tuple(place)


@given(place=PLACES, at=st.integers(min_value=0), letter=st.sampled_from([*LETTERS, "=", "!", " "]))
@example(place=[7], at=-1, letter="B")  # The last letter has bits that nobody looks at.
def test_a_token_with_another_letter_is_refused(
    place: list[int | float | str], at: int, letter: str
) -> None:
    token = encode_place(KEY, STAMP, tuple(place))
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(InvalidInputError, match=r"Invalid page token.* Search again"):
        decode_place(KEY, changed, STAMP, len(place))


@given(place=PLACES, most=st.integers(min_value=0), more=st.sampled_from(["A", "=", "AAAA", "\n"]))
def test_a_token_that_is_cut_or_goes_on_is_refused(
    place: list[int | float | str], most: int, more: str
) -> None:
    token = encode_place(KEY, STAMP, tuple(place))
    for changed in (token[: most % len(token)], token + more):
        with pytest.raises(InvalidInputError, match="Invalid page token"):
            decode_place(KEY, changed, STAMP, len(place))


def test_whoever_knows_the_form_but_not_the_key_makes_no_token() -> None:
    place = msgspec.msgpack.encode((0, "run"))
    made = [
        encode_place(b"", STAMP, (0, "run")),
        encode_place(b"another key" * 3, STAMP, (0, "run")),
        base64.urlsafe_b64encode(place).decode().rstrip("="),
        base64.urlsafe_b64encode(STAMP + place).decode().rstrip("="),
        base64.urlsafe_b64encode(bytes(16) + STAMP + place).decode().rstrip("="),
    ]
    for token in made:
        with pytest.raises(InvalidInputError, match="Invalid page token"):
            decode_place(KEY, token, STAMP, 2)


def _with_runs(backend: LocalBackend) -> LocalBackend:
    facts = [RunStarted(run_id=f"trip{n}", experiment="taxifare", start_ms=n) for n in range(5)]
    backend.call(ops.RecordFacts(facts=list(facts)))
    return backend


def test_every_process_on_a_store_goes_on_from_pages_of_the_others(backend: LocalBackend) -> None:
    page = _with_runs(backend).call(ops.SearchRuns(max_results=2))
    other = LocalBackend(backend.address)
    try:
        rest = other.call(ops.SearchRuns(page_token=page.next_page_token))
    finally:
        other.close()
    assert [run.run_id for run in rest.runs] == ["trip2", "trip1", "trip0"]


def test_another_store_does_not(open_backend: Callable[..., LocalBackend]) -> None:
    one, other = _with_runs(open_backend()), _with_runs(open_backend())
    if not other.store.is_sqlite:  # Tests copy their databases from one, and the key with it.
        with other.store.write() as connection:
            connection.execute(update(schema.store_key).values(value=b"x" * 32))
    page = one.call(ops.SearchRuns(max_results=2))
    with pytest.raises(InvalidInputError, match="another store gave it out"):
        other.call(ops.SearchRuns(page_token=page.next_page_token))


def test_the_key_is_read_once_and_never_for_a_search_of_one_page(backend: LocalBackend) -> None:
    _with_runs(backend)
    said: list[str] = []
    event.listen(
        backend.store._engine, "before_cursor_execute", lambda *about: said.append(about[2])
    )
    backend.call(ops.SearchRuns())
    assert said
    assert not [each for each in said if "ll_store_key" in each]
    for _ in range(3):
        page = backend.call(ops.SearchRuns(max_results=2))
        backend.call(ops.SearchRuns(page_token=page.next_page_token))
    assert len([each for each in said if "ll_store_key" in each]) == 1


def test_flow_runs_have_signed_pages_too(backend: LocalBackend) -> None:
    rows = [
        {"flow_run_id": f"wagon{n}", "flow_name": "wagoncab", "state": "Scheduled",
         "scheduled_ms": n, "created_ms": 0}
        for n in range(4)
    ]  # fmt: skip
    with backend.store.write() as connection:
        connection.execute(insert(schema.flow_run), rows)
    page = backend.call(ops.ListFlowRuns(max_results=2))
    rest = backend.call(ops.ListFlowRuns(page_token=page.next_page_token))
    found = [each.flow_run_id for each in (*page.flow_runs, *rest.flow_runs)]
    assert found == ["wagon3", "wagon2", "wagon1", "wagon0"]
    for token in ("2:wagon2", page.next_page_token[:-1], f"{page.next_page_token}A"):
        with pytest.raises(InvalidInputError, match="Search again"):
            backend.call(ops.ListFlowRuns(page_token=token))
    with pytest.raises(InvalidInputError, match="another search"):
        backend.call(ops.ListFlowRuns(flow_name="wagoncab", page_token=page.next_page_token))
