"""Registration: a flow becomes a version in the store, which workers run on its schedule."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import (
    BackendUnavailableError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)
from loopline.flows.run_configs import RunConfig
from loopline.flows.running.presence import has_worker
from loopline.flows.shipping.code import python_minor
from loopline.flows.shipping.packing import PackedFlow, pack_flow
from loopline.records.flows import FlowCode, FlowVersion
from loopline.records.operations import GetFlow, GetProject, RegisterFlow
from loopline.records.vm import VMRun
from loopline.rules.timetable_words import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.backend.protocol import Backend
    from loopline.flows.flow import Flow
    from loopline.settings import Address

__all__ = ["register_flow"]


def register_flow(  # noqa: PLR0913 - Prefect 1's options
    flow: Flow,
    project: str | None,
    *,
    build: bool = True,  # noqa: ARG001 - Prefect 1's; ours has nothing to build apart
    labels: Iterable[str] | None = None,
    set_schedule_active: bool = True,
    version_group_id: str | None = None,
    no_url: bool = False,
    idempotency_key: str | None = None,
    resume: str = "continue",
    uri: str | None = None,
    say: Callable[[str], object] = print,
) -> str:
    """Store a version of a flow, unless it is the newest one already, and say what to do next.

    What travels: the graph, the flow's code, and the ``.py`` files of the local modules it uses,
    so that a worker started elsewhere can import them. Other files (data, configuration) do not
    travel: a task must find them by an address that is valid where the worker runs.

    Args:
        flow: The flow.
        project: Where it is listed; made when there is none of this name.
        build: Taken for Prefect 1's sake; the code is always stored.
        labels: What a worker must have to take its runs (`loopline worker --label`), besides those
            of the flow's run config and storage.
        set_schedule_active: Whether its schedule makes runs from now on.
        version_group_id: Not known; versions belong together by project and name.
        no_url: Do not say where to look and what to start.
        idempotency_key: Makes a new version when this differs from the newest one's, instead of
            when the flow's content does.
        resume: What happens to a run whose worker died: ``"continue"`` from its finished tasks,
            ``"restart"`` from its first, or ``"no"``: it has failed.
        uri: Where to store it, instead of the tracking address.
        say: Takes each line of what is told to the user.

    Returns:
        The id of the flow version.

    Raises:
        BackendUnavailableError: When the server cannot be reached, saying what to start.
        FlowBuildError: When the flow has a cycle, or refers to what cannot be stored.
        InvalidInputError: Without a project's name, or with options that mean nothing here.
    """
    from loopline.backend.recorder import get_recorder

    project = _check_options(project, version_group_id)
    config = flow.run_config if isinstance(flow.run_config, RunConfig) else RunConfig()
    # Prefect 1's storage says, too, which workers can reach it.
    of_storage: Iterable[str] = getattr(flow.storage, "labels", ())
    wanted = sorted({*(labels or ()), *config.labels, *of_storage})
    flow.validate()
    packed = pack_flow(flow)
    if idempotency_key is not None:
        packed = packed._replace(fingerprint=_digest(f"idempotency key {idempotency_key}"))
    elif wanted or resume != "continue":
        packed = packed._replace(fingerprint=_digest(f"{packed.fingerprint} {wanted} {resume}"))
    backend = get_recorder(uri).backend
    try:
        is_new_project = _is_new(backend, project)
        version = backend.call(
            RegisterFlow(
                project=project,
                name=flow.name,
                fingerprint=packed.fingerprint,
                graph=flow.graph(),
                schedule=flow.schedule.spec() if flow.schedule else None,
                schedule_active=set_schedule_active,
                code=_store_code(backend, packed, project, flow),
                environment=packed.environment,
                labels=wanted,
                resume=resume,
                triggers=flow.triggers,
            )
        )
    except BackendUnavailableError as error:
        if backend.address.kind != "http":
            raise
        msg = (
            f"No Loopline server answers at {backend.address}, so {flow.name!r} is not "
            f"registered ({error}) Start one with `loopline up` (server, worker and scheduler), "
            "then register again; without LOOPLINE_URI it is registered in this machine's home."
        )
        raise BackendUnavailableError(msg) from error
    lines = _tell_what(version, backend.address, is_new_project=is_new_project)
    for line in lines if no_url else [*lines, *_tell_next(backend.address)]:
        say(line)
    return version.flow_version_id


def _check_options(project: str | None, version_group_id: str | None) -> str:
    if not project or not project.strip():
        msg = 'A project\'s name is needed: flow.register("wagoncab project").'
        raise InvalidInputError(msg)
    if version_group_id:
        msg = (
            "version_group_id is unknown here: versions belong together by project and flow "
            "name. Register without it."
        )
        raise UnsupportedError(msg)
    return project


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_new(backend: Backend, project: str) -> bool:
    try:
        backend.call(GetProject(name=project))
    except NotFoundError:
        return True
    return False


def _store_code(backend: Backend, packed: PackedFlow, project: str, flow: Flow) -> FlowCode:
    """Store a flow's bytes, unless the newest version is this one and has them."""
    try:
        newest = backend.call(GetFlow(project=project, name=flow.name))
    except NotFoundError:
        newest = None
    if newest is not None and newest.fingerprint == packed.fingerprint and newest.code:
        return newest.code
    config = flow.run_config if isinstance(flow.run_config, RunConfig) else RunConfig()
    return FlowCode(
        kind=packed.kind,
        blob=_put(backend, packed.pickled),
        bundle=_put(backend, packed.bundle) if packed.bundle else "",
        entry=packed.entry,
        python=python_minor(),
        folder=str(Path.cwd()),
        requirements=packed.requirements,
        vm=flow.run_config if isinstance(flow.run_config, VMRun) else None,
        variables=config.env,
        working_dir=config.working_dir or "",
    )


def _put(backend: Backend, data: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="loopline-register-") as folder:
        path = Path(folder, "code")
        path.write_bytes(data)
        return backend.put_blob(path)[0]


def _tell_what(version: FlowVersion, address: Address, *, is_new_project: bool) -> list[str]:
    lines = [f"Made project {version.project!r}."] if is_new_project else []
    what = "Registered" if version.is_new else "Unchanged:"
    lines.append(f"{what} flow {version.name!r}, version {version.version}, in {address}.")
    if version.schedule is not None and version.schedule.clocks:
        state = "" if version.schedule_active else " (switched off)"
        lines.append(f"It runs {describe(version.schedule)}{state}.")
    if version.labels:
        words = " ".join(f"--label {label}" for label in version.labels)
        lines.append(f"Only workers with its labels take it: `loopline worker {words}`.")
    return lines


def _tell_next(address: Address) -> list[str]:
    if address.kind == "http":
        return [
            f"Look at it: {address}",
            "Workers run it; `loopline worker` starts one, here or elsewhere.",
        ]
    if address.kind == "home" and has_worker(Path(address.text)):
        return ["A worker is running here. Look at it: `loopline flows list`."]
    return ["No worker is running here: `loopline up` starts one, with pages to look at."]
