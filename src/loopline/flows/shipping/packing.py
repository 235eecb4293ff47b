"""Packing: what of a flow is stored, so that a worker elsewhere can have it.

See ``loopline.flows.shipping.code`` for the two ways a flow travels. Files that are no Python
source are not bundled: read data by an address that the worker can reach too.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import sys
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loopline.errors import FlowBuildError
from loopline.flows.authoring.inputs import fill
from loopline.flows.authoring.pointers import FunctionPointer
from loopline.flows.run_configs import RunConfig
from loopline.flows.shipping.code import python_minor
from loopline.flows.shipping.sources import describe_function, describe_value, is_importable
from loopline.records.vm import VMRun
from loopline.tracking.local_modules import find_modules, imported_names, is_local, zip_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.flows.flow import Flow
    from loopline.flows.task import Task

__all__ = ["PackedFlow", "pack_flow"]


class PackedFlow(NamedTuple):
    """A flow's code, ready to be stored.

    Attributes:
        kind: ``"pickle"`` or ``"import"``.
        entry: ``"module:attribute"`` for ``"import"``.
        pickled: The flow by value; for ``"import"`` its executor alone.
        bundle: Zip of the local modules, empty when there are none.
        environment: Python's minor and the version of each installed package it imports.
        requirements: These packages by the names that pip knows them by.
        fingerprint: SHA-256 in hex of what the flow is and runs in; equal in every process
            that defines it alike.
    """

    kind: str
    entry: str
    pickled: bytes
    bundle: bytes
    environment: dict[str, str]
    requirements: list[str]
    fingerprint: str


def pack_flow(flow: Flow) -> PackedFlow:
    """Collect a flow's code, local modules and environment, and compute its fingerprint.

    Raises:
        FlowBuildError: When something the flow refers to cannot be pickled.
    """
    entry = _find_entry(flow)
    if entry:
        # What a script set on an imported flow travels beside the reference.
        pickled, seen = _pickle(flow.executor, flow.name)
    if not entry or seen.functions or seen.classes:
        entry = ""
        pickled, seen = _pickle(flow, flow.name)
    names = {*seen.modules, entry.partition(":")[0]} - {""}
    for function in seen.functions:
        names.update(imported_names(function.__code__))
    for task in flow.tasks:  # Code that they have as text.
        names.update(getattr(task, "imports", ()))
    modules = find_modules(names)
    environment = _environment(modules.packages)
    fingerprint = _digest(
        {
            "flow": _describe_flow(flow),
            "sources": sorted(
                [
                    *(describe_function(function) for function in seen.functions),
                    *(describe_function(kind) for kind in seen.classes),
                ],
                key=lambda described: (described["name"], described["source"]),
            ),
            "files": {
                path: hashlib.sha256(data).hexdigest()
                for path, data in sorted(modules.files.items())
            },
            # A newer Loopline runs older versions alike: no reason for a new one.
            "environment": {**environment, "loopline": ""},
            **({"vm": flow.run_config} if isinstance(flow.run_config, VMRun) else {}),
            **_start_of(flow.run_config),
        }
    )
    return PackedFlow(
        kind="import" if entry else "pickle",
        entry=entry,
        pickled=pickled,
        bundle=zip_sources(modules.files) if modules.files else b"",
        environment=environment,
        requirements=_requirements(modules.packages),
        fingerprint=fingerprint,
    )


def _start_of(config: object) -> dict[str, Any]:
    """Tell what a run config says of a process: nothing where it says nothing."""
    if not isinstance(config, RunConfig) or not (config.env or config.working_dir):
        return {}
    return {"variables": dict(sorted(config.env.items())), "working_dir": config.working_dir}


class _Seen:
    """What a flow's pickle refers to.

    Attributes:
        functions: Functions that travel by value.
        classes: Classes that travel by value.
        modules: Names of modules whose functions, classes or selves go by reference.
        last: Name of the last function or class by value, to tell where pickling failed.
    """

    def __init__(self) -> None:
        self.functions: list[FunctionType] = []
        self.classes: list[type] = []
        self.modules: set[str] = set()
        self.last = ""

    def add(self, thing: Any) -> None:  # noqa: ANN401 - whatever is pickled
        if isinstance(thing, ModuleType):
            self.modules.add(thing.__name__)
        elif isinstance(thing, FunctionPointer):
            self.modules.add(thing.module)
        elif isinstance(thing, FunctionType | type):
            # Types such as code and cell say that they are builtins, and are not found there.
            if is_importable(thing) or thing.__module__ == "builtins":
                self.modules.add(thing.__module__)
                return
            self.last = thing.__qualname__
            if thing.__module__ and is_local(thing.__module__):
                self.modules.add(thing.__module__)  # Its module's relative imports go along.
            if isinstance(thing, FunctionType):
                self.functions.append(thing)
                self.modules.add(thing.__globals__.get("__package__") or "")
            else:
                self.classes.append(thing)
                self.functions += [item for item in vars(thing).values() if _is_function(item)]


def _is_function(thing: Any) -> bool:  # noqa: ANN401 - an attribute of a class
    return isinstance(thing, FunctionType)


def _pickle(thing: Any, flow_name: str) -> tuple[bytes, _Seen]:  # noqa: ANN401
    """Pickle by value, noting on the way what is referred to."""
    import cloudpickle

    seen = _Seen()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
        def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - pickle's own interface
            seen.add(obj)
            return super().reducer_override(obj)

    buffer = io.BytesIO()
    try:
        Pickler(buffer, protocol=5).dump(thing)
    except Exception as error:
        near = f", near {seen.last!r}" if seen.last else ""
        msg = (
            f"Flow {flow_name!r} cannot be stored: {error}{near}. Locks, connections and open "
            "files cannot travel to a worker: open them inside the task that uses them."
        )
        raise FlowBuildError(msg) from error
    return buffer.getvalue(), seen


def _find_entry(flow: Flow) -> str:
    """Find the global of an imported module that is this flow; empty: there is none."""
    for name, module in list(sys.modules.items()):
        if name in {"__main__", "__mp_main__"} or not isinstance(module, ModuleType):
            continue
        for attribute, value in list(vars(module).items()):
            if value is flow:
                return f"{name}:{attribute}"
    return ""


def _describe_flow(flow: Flow) -> dict[str, Any]:
    """Describe what the flow object holds: graph, schedule, constants, options, executor."""

    def slug_of(task: Task) -> str:
        return f"<task {flow.slugs[task]}>"

    return {
        "graph": flow.graph(),
        "schedule": flow.schedule.spec() if flow.schedule else None,
        "executor": describe_value(flow.executor),
        "references": sorted(flow.slugs[task] for task in flow.reference_tasks()),
        "tasks": {slug: describe_value(vars(task)) for task, slug in flow.slugs.items()},
        "inputs": {
            slug: {
                key: [describe_value(fill(given.value, slug_of)), given.is_mapped]
                for key, given in flow.inputs(task).items()
            }
            for task, slug in flow.slugs.items()
        },
    }


def _environment(packages: set[str]) -> dict[str, str]:
    """Find the packages with these import names, as they are installed, and their versions."""
    environment = {"python": python_minor()}
    for name in sorted(packages | {"loopline"}):
        package = _package(name)
        if package:
            environment[package] = importlib.metadata.version(package)
    return environment


def _package(name: str) -> str:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if name == "loopline":  # Run from its source folder.
            return ""
        names = _distributions().get(name, [])  # The import is sklearn, the package scikit-learn.
        return names[0] if names else ""
    return name


def _requirements(packages: set[str]) -> list[str]:
    """Find what pip installs these packages by; the import is sklearn, the package scikit-learn."""
    found = {name for package in packages for name in _distributions().get(package, [])[:1]}
    return [f"{name}=={importlib.metadata.version(name)}" for name in sorted(found - {"loopline"})]


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _digest(material: dict[str, Any]) -> str:
    encoded = msgspec.json.encode(material, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()
