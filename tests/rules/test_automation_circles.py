"""Automations whose runs may be what they wait for."""

from __future__ import annotations

import pytest

from loopline.records.automations import Action, EventKind, Then, When
from loopline.rules.automations import sets_itself_off

FAILED = When(event=EventKind.FLOW_RUN, states=["Failed"])
OF_TRAIN = When(event=EventKind.TASK, states=["Failed"], flow="train")


@pytest.mark.parametrize(
    ("when", "then", "it_may"),
    [
        (FAILED, Then(action=Action.RUN, flow="mend"), True),
        (FAILED, Then(action=Action.LOG), False),
        (OF_TRAIN, Then(action=Action.RUN), True),
        (OF_TRAIN, Then(action=Action.RUN, flow="mend"), False),
        (OF_TRAIN, Then(action=Action.RUN, flow="train", project="elsewhere"), True),
        (When(event=EventKind.LATE), Then(action=Action.RUN, flow="mend"), False),
    ],
)
def test_it_is_told_whether_one_may_set_itself_off(when: When, then: Then, it_may: bool) -> None:  # noqa: FBT001
    assert sets_itself_off("", when, then) is it_may
