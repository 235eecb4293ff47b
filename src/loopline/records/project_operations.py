"""Operations on projects and the versions of flows: rows of the table of operations."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = [
    "CreateProject",
    "DeleteProject",
    "FlowVersionNote",
    "GetProject",
    "ListFlowVersions",
    "ListProjects",
    "Project",
    "UpdateProject",
]


class Project(Record, frozen=True, kw_only=True):
    """Where flows are listed together.

    Attributes:
        flows: How many flows it has.
        flow_runs: How many runs they had, or are to have.
        running: How many of them run now.
    """

    name: str
    description: str = ""
    created_ms: int = 0
    flows: int = 0
    flow_runs: int = 0
    running: int = 0


class FlowVersionNote(Record, frozen=True, kw_only=True):
    """A version of a flow in its history.

    Attributes:
        changes: What differs from the version before, in words; of the first: nothing.
    """

    flow_version_id: str
    version: int
    created_ms: int
    fingerprint: str
    changes: list[str] = []


class CreateProject(Operation[Project], frozen=True, kw_only=True):
    """Make a project; registering a flow makes a missing one by itself."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    description: str = ""


class GetProject(Operation[Project], frozen=True, kw_only=True):
    """Get a project."""

    name: str


class ListProjects(Operation[list[Project]], frozen=True, kw_only=True):
    """List projects by name."""


class UpdateProject(Operation[Project], frozen=True, kw_only=True):
    """Describe a project."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    description: str


class DeleteProject(Operation[Project], frozen=True, kw_only=True):
    """Delete a project; answers what went.

    Attributes:
        force: With its flows, their versions and runs with all that is known of them; without,
            only a project that has none is deleted. Never while one of them runs.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
    force: bool = False


class ListFlowVersions(Operation[list[FlowVersionNote]], frozen=True, kw_only=True):
    """List the versions of a flow, newest first, with what changed."""

    project: str = ""
    name: str
