"""Roles add up, and the scope of a token is a lid on all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopline.records.identity import Access, Role, Scope, Thing
from loopline.rules.access import may_do, role_on, role_on_everything, visible, widest_role

ROLES = st.sampled_from(Role)
ACCESSES = st.builds(
    Access,
    role=ROLES,
    scope=st.sampled_from(Scope),
    experiments=st.dictionaries(st.integers(0, 3), ROLES),
    models=st.dictionaries(st.sampled_from("ab"), ROLES),
    projects=st.dictionaries(st.sampled_from("ab"), ROLES),
)


@given(access=ACCESSES, number=st.integers(0, 3))
def test_a_grant_gives_more_and_never_less(access: Access, number: int) -> None:
    on_it = role_on(access, Thing.EXPERIMENT, number)
    assert may_do(on_it, role_on_everything(access))
    assert may_do(widest_role(access), on_it)


@given(access=ACCESSES)
def test_no_token_does_more_than_its_scope(access: Access) -> None:
    most = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.EDITOR, Scope.ADMIN: Role.ADMIN}
    assert may_do(most[access.scope], widest_role(access))


@given(access=ACCESSES, number=st.integers(0, 3))
def test_a_search_sees_what_a_look_sees(access: Access, number: int) -> None:
    seen = visible(access, Thing.EXPERIMENT)
    can_look = may_do(role_on(access, Thing.EXPERIMENT, number), Role.VIEWER)
    assert (seen is None or number in seen) == can_look


def test_who_has_no_role_sees_nothing() -> None:
    assert visible(Access(), Thing.MODEL) == frozenset()
    assert visible(None, Thing.MODEL) is None
    assert widest_role(Access()) is Role.NONE
