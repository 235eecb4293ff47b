"""Policies of registered models: set once, followed by every decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.errors import NotFoundError
from loopline.records.operations import DeletePolicy, GetPolicy, ListPolicies, SetPolicy
from loopline.registry.given import actor

if TYPE_CHECKING:
    from loopline.records.policies import KeptPolicy, Policy

__all__ = ["delete_policy", "find_policy", "get_policy", "list_policies", "set_policy"]


def set_policy(policy: Policy) -> KeptPolicy:
    """Decide over a model by this from now on; the same again changes nothing.

    Raises:
        InvalidInputError: A gate cannot be; the message says what would be right.
    """
    return get_recorder().call(SetPolicy(policy=policy, actor=actor()))


def get_policy(name: str, stage: str = "Production") -> Policy:
    """Get the policy of a model's stage.

    Raises:
        NotFoundError: There is no such model, or it has no policy.
    """
    return get_recorder().call(GetPolicy(name=name, stage=stage)).policy


def find_policy(name: str, stage: str = "Production") -> Policy | None:
    """Get the policy of a model's stage, or None when there is none."""
    try:
        return get_policy(name, stage)
    except NotFoundError:
        return None


def list_policies(name: str = "") -> list[KeptPolicy]:
    """List the policies that count now, of one model or of all."""
    return get_recorder().call(ListPolicies(name=name))


def delete_policy(name: str, stage: str = "Production") -> None:
    """Decide by no policy any more; what was decided stays on record."""
    get_recorder().call(DeletePolicy(name=name, stage=stage, actor=actor()))
