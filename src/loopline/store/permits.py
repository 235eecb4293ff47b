"""Whether a caller may do an operation.

Whoever may do a thing to everything is let through without a look. For the others each operation
names the things it touches (``permit_targets``); one that names none is about the whole store, and
is theirs only by a role on everything. What a caller may not view is answered as what is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.errors import ForbiddenError, NotFoundError
from loopline.records import operations as ops
from loopline.records.identity import Role
from loopline.rules.access import (
    NEEDED,
    may_do,
    role_on,
    role_on_everything,
    role_on_own,
    widest_role,
)
from loopline.store import schema
from loopline.store.permit_targets import TARGETS, Need, needs_of_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from loopline.records.facts import Fact
    from loopline.records.identity import Access, Caller
    from loopline.records.operations import Operation

__all__ = [
    "FILTERED",
    "IDENTITY",
    "may_read_blob",
    "may_write_facts",
    "permit",
    "permit_facts",
]

_run = schema.run

#: Queries that look only at what their caller may view.
FILTERED: frozenset[type[Operation[Any]]] = frozenset(
    {
        ops.CountRuns,
        ops.FindSnapshot,
        ops.GetDataUses,
        ops.GetLineage,
        ops.ListAutomations,
        ops.ListDatasets,
        ops.ListDecisions,
        ops.ListExperiments,
        ops.ListFeeds,
        ops.ListFlowRuns,
        ops.ListFlows,
        ops.ListModels,
        ops.ListPolicies,
        ops.ListProjects,
        ops.ListTagLimits,
        ops.ListWorkers,
        ops.SearchExperiments,
        ops.SearchLoggedModels,
        ops.SearchModels,
        ops.SearchRunTable,
        ops.SearchRuns,
        ops.SearchVersions,
        # A writer's sign of life says nothing of what it writes.
        ops.Heartbeat,
    }
)


#: Commands on accounts.
IDENTITY = frozenset(
    {
        ops.AddUser,
        ops.ChangeUser,
        ops.CreateToken,
        ops.InviteUser,
        ops.RemoveUser,
        ops.RevokeToken,
        ops.SetGrant,
    }
)


def permit(connection: Connection, caller: Caller, operation: Operation[Any]) -> None:
    """Let a caller's operation through.

    Raises:
        ForbiddenError: The caller may not do it.
        NotFoundError: The caller may not view what it is about, or that is not there.
    """
    kind = type(operation)
    if caller.how == "open" and kind in IDENTITY:
        # Or anybody could make an account that is still there when authentication is switched on.
        msg = (
            "This server asks nobody who they are, so it keeps no accounts. Manage them with "
            "`loopline users` on its machine, or start it with `loopline server --auth`."
        )
        raise ForbiddenError(msg)
    access = caller.access
    needed = NEEDED[kind.permission]
    if access is None or may_do(role_on_everything(access), needed):
        return
    if kind in FILTERED and may_do(widest_role(access), needed):
        return
    find = TARGETS.get(kind)
    needs = None if find is None else find(connection, operation, needed)
    if needs is None:
        raise _too_weak("everything", needed, role_on_everything(access))
    _check(access, needs)


def permit_facts(
    connection: Connection, caller: Caller, facts: Iterable[Fact], *, writer: str = ""
) -> None:
    """Let facts through that a caller sends, of a writer's journal; raises as ``permit`` does."""
    access = caller.access
    if access is None or may_write_facts(caller):
        return
    if not may_do(widest_role(access), Role.EDITOR):
        raise _too_weak("anything", Role.EDITOR, widest_role(access))
    needs = needs_of_facts(connection, facts, Role.EDITOR, writer)
    if needs is None:
        raise _too_weak("everything", Role.EDITOR, role_on_everything(access))
    _check(access, needs)


def may_write_facts(caller: Caller) -> bool:
    """Tell without a look at the store whether a caller may write facts of anything."""
    access = caller.access
    return access is None or may_do(role_on_everything(access), Role.EDITOR)


def _check(access: Access, needs: list[Need]) -> None:
    for need in needs:
        if need.is_own:
            role = role_on_own(access)
        else:
            role = Role.NONE if need.name is None else role_on(access, need.thing, need.name)
        if not may_do(role, Role.VIEWER):
            msg = (
                f"There is no {need.said[:200]} here that you may view. Ask an administrator for a "
                "role on it if there should be."
            )
            raise NotFoundError(msg)
        if not may_do(role, need.role):
            raise _too_weak(f"the {need.said[:200]}", need.role, role)


def _too_weak(where: str, needed: Role, role: Role) -> ForbiddenError:
    return ForbiddenError(
        f"This needs the role {needed.value!r} on {where}, and here you have {role.value!r}. "
        "Ask an administrator for more, or use a token that may do more."
    )


def may_read_blob(connection: Connection, caller: Caller, sha256: str) -> bool:
    """Tell whether bytes belong to anything that a caller may view. Four index look-ups."""
    access = caller.access
    if access is None or may_do(role_on_everything(access), Role.VIEWER):
        return True
    artifact, file = schema.artifact, schema.model_version_file
    of_runs = (
        select(_run.c.pk)
        .join(artifact, artifact.c.run_pk == _run.c.pk)
        .where(artifact.c.sha256 == sha256, _run.c.experiment_id.in_(_seen(access.experiments)))
    )
    of_models = select(file.c.version).where(
        file.c.sha256 == sha256, file.c.name.in_(_seen(access.models))
    )
    logged, logged_file = schema.logged_model, schema.logged_model_file
    of_logged_models = (
        select(logged.c.pk)
        .join(logged_file, logged_file.c.model_pk == logged.c.pk)
        .where(
            logged_file.c.sha256 == sha256, logged.c.experiment_id.in_(_seen(access.experiments))
        )
    )
    feed, arrival = schema.feed, schema.feed_arrival
    of_feeds = (
        select(feed.c.name)
        .join(arrival, arrival.c.feed == feed.c.name)
        .where(arrival.c.keys_sha256 == sha256, feed.c.project.in_(_seen(access.projects)))
    )
    return any(
        connection.execute(query.limit(1)).first() is not None
        for query in (of_runs, of_models, of_logged_models, of_feeds)
    )


def _seen(roles: Any) -> list[Any]:  # noqa: ANN401 - roles by number or by name
    return [name for name, role in roles.items() if may_do(role, Role.VIEWER)]
