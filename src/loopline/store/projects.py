"""Projects in the store, and the versions of their flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records.identity import Thing
from loopline.records.project_operations import FlowVersionNote, Project
from loopline.rules.flow_changes import changes_between
from loopline.rules.words import count_words
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.flow_limits import is_held
from loopline.store.flow_rows import newest_version, version_record
from loopline.store.upserts import InsertOrIgnore

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table

    from loopline.records import project_operations as ops
    from loopline.store.database import Store

__all__ = [
    "check_name",
    "create_project",
    "delete_project",
    "ensure_project",
    "get_project",
    "list_flow_versions",
    "list_projects",
    "project_record",
    "update_project",
]

_project = schema.project
_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run
LONGEST_NAME, LONGEST_DESCRIPTION = 500, 20_000


def check_name(what: str, name: str) -> None:
    """Check the name of a project or flow.

    Raises:
        InvalidInputError: It is empty or too long.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        msg = f"A {what} needs a name of 1 to {LONGEST_NAME} characters."
        raise InvalidInputError(msg)


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION:
        msg = f"A description has at most {LONGEST_DESCRIPTION:,} characters."
        raise InvalidInputError(msg)


def ensure_project(connection: Connection, name: str, now_ms: int) -> None:
    """Make a project unless it is there."""
    connection.execute(InsertOrIgnore(_project).values(name=name, created_ms=now_ms))


def create_project(store: Store, connection: Connection, call: ops.CreateProject) -> Project:
    """Make a project."""
    check_name("project", call.name)
    _check_description(call.description)
    known = select(_project.c.name).where(_project.c.name == call.name)
    if connection.execute(known).first() is not None:
        msg = f"There is a project {call.name!r} already. Register flows into it."
        raise ConflictError(msg)
    connection.execute(
        insert(_project).values(
            name=call.name, description=call.description, created_ms=store.clock()
        )
    )
    return project_record(connection, call.name, store.clock())


def project_record(connection: Connection, name: str, now_ms: int) -> Project:
    """Get a project.

    Raises:
        NotFoundError: There is none of this name.
    """
    found = _records(connection, now_ms, _project.c.name == name)
    if not found:
        seen = only_visible(connection, Thing.PROJECT, _project.c.name)
        known = connection.execute(select(_project.c.name).where(*seen).limit(1000)).scalars()
        raise NotFoundError.among(
            "project", name, known, hint="List them with `loopline projects list`."
        )
    return found[0]


def _records(
    connection: Connection, now_ms: int, *conditions: ColumnElement[bool]
) -> list[Project]:
    flows = select(func.count()).where(_flow.c.project == _project.c.name).scalar_subquery()
    runs = select(func.count()).where(_run.c.project == _project.c.name)
    rows = connection.execute(
        select(
            _project,
            flows.label("flows"),
            runs.scalar_subquery().label("flow_runs"),
            runs.where(is_held(now_ms)).scalar_subquery().label("running"),
        )
        .where(*conditions)
        .order_by(_project.c.name)
    )
    return [Project(**row._asdict()) for row in rows]


def get_project(store: Store, connection: Connection, call: ops.GetProject) -> Project:
    """Get a project."""
    return project_record(connection, call.name, store.clock())


def list_projects(store: Store, connection: Connection, _call: ops.ListProjects) -> list[Project]:
    """List projects by name."""
    seen = only_visible(connection, Thing.PROJECT, _project.c.name)
    return _records(connection, store.clock(), *seen)


def update_project(store: Store, connection: Connection, call: ops.UpdateProject) -> Project:
    """Describe a project."""
    _check_description(call.description)
    project_record(connection, call.name, store.clock())
    connection.execute(
        update(_project).where(_project.c.name == call.name).values(description=call.description)
    )
    return project_record(connection, call.name, store.clock())


def delete_project(store: Store, connection: Connection, call: ops.DeleteProject) -> Project:
    """Delete a project, by force with all that is in it."""
    gone = project_record(connection, call.name, store.clock())
    if gone.flows and not call.force:
        msg = (
            f"The project {call.name!r} has {count_words(gone.flows, 'flow')} with "
            f"{count_words(gone.flow_runs, 'run')}, which would go with it. "
            "Delete it by force to have that: "
            f"loopline projects delete {call.name!r} --force"
        )
        raise ConflictError(msg)
    if gone.running:
        runs_now = count_words(gone.running, "flow run")
        verb = "runs" if gone.running == 1 else "run"
        msg = (
            f"{runs_now} of the project {call.name!r} {verb} now. Cancel what runs, or wait: "
            "loopline flow-runs list --state Running"
        )
        raise ConflictError(msg)
    runs = select(_run.c.flow_run_id).where(_run.c.project == call.name)
    flows = select(_flow.c.id).where(_flow.c.project == call.name)
    automation, firing = schema.automation, schema.automation_firing
    own = (automation.c.project == call.name) | automation.c.flow_id.in_(flows)
    connection.execute(
        delete(firing).where(
            firing.c.automation_id.in_(select(automation.c.automation_id).where(own))
        )
    )
    connection.execute(delete(automation).where(own))
    of_runs: tuple[Table, ...] = (
        schema.task_run, schema.flow_run_event, schema.log_line, schema.tag_slot,
    )  # fmt: skip
    for table in of_runs:
        connection.execute(delete(table).where(table.c.flow_run_id.in_(runs)))
    connection.execute(delete(_run).where(_run.c.project == call.name))
    connection.execute(delete(_version).where(_version.c.flow_id.in_(flows)))
    connection.execute(delete(_flow).where(_flow.c.project == call.name))
    connection.execute(delete(_project).where(_project.c.name == call.name))
    return gone


def list_flow_versions(
    _store: Store, connection: Connection, call: ops.ListFlowVersions
) -> list[FlowVersionNote]:
    """List the versions of a flow, newest first, with what changed."""
    flow_id, _ = newest_version(connection, call.project, call.name)
    ids = connection.execute(
        select(_version.c.flow_version_id)
        .where(_version.c.flow_id == flow_id)
        .order_by(_version.c.version)
    ).scalars()
    versions = [version_record(connection, each) for each in ids]
    notes = [
        FlowVersionNote(
            flow_version_id=version.flow_version_id,
            version=version.version,
            created_ms=version.created_ms,
            fingerprint=version.fingerprint,
            changes=changes_between(versions[index - 1], version) if index else [],
        )
        for index, version in enumerate(versions)
    ]
    return notes[::-1]
