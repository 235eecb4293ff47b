"""Names of machines say all that is needed to find and to judge them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from loopline.rules.vm_names import VMName, of_store, parse_vm_name, why_stray

NAMES = st.builds(
    VMName,
    store=st.text("0123456789abcdef", min_size=8, max_size=8),
    flow_run=st.text("0123456789abcdef", min_size=32, max_size=32),
    token=st.integers(0, 999_999),
    deadline_s=st.integers(0, 2**32 - 1),
)
NAME = VMName(store=of_store("http://x"), flow_run="a" * 32, token=3, deadline_s=1000)


@given(NAMES)
def test_a_name_is_read_as_it_was_written_and_is_one_that_clouds_take(name: VMName) -> None:
    assert parse_vm_name(str(name)) == name
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", str(name))


@given(st.text())
def test_other_machines_are_not_ours(text: str) -> None:
    assert parse_vm_name(text) is None
    assert parse_vm_name(f"{NAME}{text}x") is None


def why(**changes: object) -> str:
    known = {"run_state": "Running", "is_over": False, "run_token": 3, "now_s": 999.0}
    state = str(changes.pop("state", "running"))
    return why_stray(NAME, state, **{**known, **changes})  # type: ignore[arg-type]


def test_a_machine_may_stay_as_long_as_its_flow_run_needs_it() -> None:
    assert why() == why(state="starting") == why(run_token=2) == ""


def test_a_machine_must_go_for_a_reason() -> None:
    assert why(now_s=1000.0) == "its time is up"
    assert why(run_state="") == "there is no such flow run"
    assert why(run_state="Success", is_over=True) == "its flow run is Success"
    assert why(run_token=4) == "another machine or worker has its flow run"
    assert why(state="stopped") == "it has stopped"
