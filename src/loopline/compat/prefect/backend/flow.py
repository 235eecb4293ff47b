"""``prefect.backend.flow``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.operations import GetFlow, ListFlows

if TYPE_CHECKING:
    from loopline.records.flows import FlowVersion

__all__ = ["FlowView"]


class FlowView:
    """A registered flow, as it was when it was looked up.

    Attributes:
        flow_id: Of its version.
        name: Its name.
        project_name: Its project.
        version: Number of the version.
        labels: What a worker must have to run it.
        parameters: Names of its parameters, with their defaults.
        is_schedule_active: Whether its schedule makes runs.
    """

    def __init__(self, version: FlowVersion) -> None:
        self.flow_id = version.flow_version_id
        self.flow_group_id = f"{version.project}/{version.name}"
        self.name = version.name
        self.project_name = version.project
        self.version = version.version
        self.labels = set(version.labels)
        self.parameters: dict[str, Any] = {
            each.name: each.default for each in version.graph.parameters
        }
        self.is_schedule_active = version.schedule_active
        self.serialized_flow = version.graph

    @classmethod
    def from_flow_id(cls, flow_id: str) -> FlowView:
        """Look a version up.

        Raises:
            NotFoundError: There is none.
        """
        return cls(get_recorder().backend.call(GetFlow(flow_version_id=flow_id)))

    @classmethod
    def from_flow_group_id(cls, flow_group_id: str) -> FlowView:
        """Look the newest version up, by what another view says in ``flow_group_id``."""
        project, _, name = flow_group_id.partition("/")
        return cls.from_flow_name(name, project)

    @classmethod
    def from_flow_name(
        cls,
        flow_name: str,
        project_name: str = "",
        last_updated: bool = False,
    ) -> FlowView:
        """Look the newest version up.

        Args:
            flow_name: The flow.
            project_name: Its project; needed where flows of several have this name.
            last_updated: Of several, take the one that was registered last.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: There are several.
        """
        found = [
            each
            for each in get_recorder().backend.call(ListFlows())
            if each.name == flow_name and project_name in {"", each.project}
        ]
        if not found:
            where = f" in the project {project_name!r}" if project_name else ""
            msg = f"No flow {flow_name!r}{where} is registered. `loopline flows list` shows all."
            raise NotFoundError(msg)
        if len(found) > 1 and not last_updated:
            projects = ", ".join(sorted(each.project for each in found))
            msg = f"Several projects have a flow {flow_name!r}: {projects}. Give project_name."
            raise InvalidInputError(msg)
        return cls.from_flow_id(max(found, key=lambda each: each.created_ms).flow_version_id)

    @classmethod
    def from_id(cls, flow_id: str) -> FlowView:
        """Look up by the id of a version or of all versions together."""
        return cls.from_flow_group_id(flow_id) if "/" in flow_id else cls.from_flow_id(flow_id)

    def __repr__(self) -> str:
        return f"<FlowView: {self.project_name}/{self.name}, version {self.version}>"
