"""Clouds: what starts, lists and deletes machines, through libcloud's drivers."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from loopline.errors import BackendUnavailableError, InvalidInputError, MissingExtraError
from loopline.records.vm import VM

if TYPE_CHECKING:
    from loopline.records.vm import Place, VMRun

__all__ = ["Cloud", "LibcloudCloud", "driver_options", "libcloud_module", "open_cloud", "variable"]


class Cloud(Protocol):
    """The machines of one place.

    Raises:
        BackendUnavailableError: Any call: the cloud cannot be reached, or it refuses.
    """

    def start(self, name: str, vm: VMRun, script: str) -> None:
        """Make a machine that runs a script when it boots.

        A machine of this name that there is already, or one just asked for, stays the only one.
        """
        ...

    def list(self) -> list[VM]:
        """List the machines whose names are ours, also those that have stopped."""
        ...

    def delete(self, vm: VM) -> None:
        """Delete a machine with its disk; one that is gone already is no error."""
        ...

    def console(self, vm: VM) -> str:
        """Read what a machine wrote on its console, as far as the cloud tells; else nothing."""
        ...


def open_cloud(place: Place) -> Cloud:
    """Open a place, with credentials from the environment.

    Raises:
        MissingExtraError: libcloud is not installed.
        InvalidInputError: There is no such provider, or credentials are missing; it says which.
        BackendUnavailableError: The cloud cannot be reached, or refuses the credentials.
    """
    if place.provider == "gce":
        from loopline.compute.gce import GoogleCloud

        return GoogleCloud(place)
    if place.provider == "ec2":
        from loopline.compute.ec2 import AmazonCloud

        return AmazonCloud(place)
    return LibcloudCloud(place)


def libcloud_module(name: str) -> Any:  # noqa: ANN401 - libcloud has no types
    """Import a module of libcloud.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(f"libcloud.{name}")
    except ImportError:
        raise MissingExtraError(
            "apache-libcloud", extra="vm", purpose="Starting machines in a cloud"
        ) from None


def variable(name: str, purpose: str) -> str:
    """Read a credential from the environment.

    Raises:
        InvalidInputError: It is not set.
    """
    value = os.environ.get(name, "")
    if not value:
        msg = f"{purpose} needs {name} in the environment of whoever starts machines."
        raise InvalidInputError(msg)
    return value


def driver_options(place: Place) -> dict[str, Any]:
    """Give what a driver is made with besides credentials; another endpoint's port is a number."""
    options: dict[str, Any] = dict(place.connection)
    if "port" in options:
        options["port"] = int(options["port"])
    if "secure" in options:
        options["secure"] = options["secure"] not in {"", "0", "false"}
    return options


class LibcloudCloud:
    """Any driver of libcloud, by its name, for what all of them have.

    ``LOOPLINE_VM_USER`` and ``LOOPLINE_VM_SECRET`` are the driver's key and secret. What start-up
    scripts are called, and where disks and labels go, differs: ``VMRun.options`` says it, with
    ``"{script}"`` in the place of the script.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.driver = self._open()

    def _open(self) -> Any:  # noqa: ANN401 - a driver
        providers = libcloud_module("compute.providers")
        try:
            driver = providers.get_driver(self._place.provider)
        except (AttributeError, ImportError) as error:
            msg = (
                f"libcloud has no cloud {self._place.provider!r} ({error}). Such are gce, ec2 and "
                "azure_arm; its documentation lists them."
            )
            raise InvalidInputError(msg) from None
        keys = [
            os.environ[name]
            for name in ("LOOPLINE_VM_USER", "LOOPLINE_VM_SECRET")
            if os.environ.get(name)
        ]
        return self.call(driver, *(keys or ["unused"]), **driver_options(self._place))

    def start(self, name: str, vm: VMRun, script: str) -> None:
        """Make a machine; see ``Cloud``."""
        if any(each.name == name for each in self.list()):
            return
        sizes = self.call(self.driver.list_sizes)
        images = self.call(self.driver.list_images)
        options = {
            key: value.replace("{script}", script) if isinstance(value, str) else value
            for key, value in vm.options.items()
        }
        node = self.call(
            self.driver.create_node,
            name=name,
            size=_named("size", vm.size, sizes),
            image=_named("image", vm.image, images),
            **options,
        )
        if node.name != name:
            self.call(self.driver.destroy_node, node)
            msg = (
                f"The cloud {self._place.provider} calls machines as it likes ({node.name}), so a "
                "stray could not be found again. Use another."
            )
            raise InvalidInputError(msg)

    def list(self) -> list[VM]:
        """List our machines; see ``Cloud``."""
        return [
            VM(id=str(node.id), name=name, state=state)
            for node in self.call(self.driver.list_nodes)
            if (state := _state(node.state)) and (name := self.name_of(node)).startswith("ll-")
        ]

    def name_of(self, node: Any) -> str:  # noqa: ANN401 - libcloud's
        """Tell what a machine was called when it was asked for."""
        return str(node.name)

    def delete(self, vm: VM) -> None:
        """Delete a machine; see ``Cloud``."""
        for node in self.call(self.driver.list_nodes):
            if str(node.id) == vm.id and _state(node.state):
                self.call(self.driver.destroy_node, node)

    def console(self, vm: VM) -> str:
        """Nothing: drivers differ in this."""
        del vm
        return ""

    def call(self, function: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - libcloud
        """Call libcloud; its errors become ours."""
        types = libcloud_module("common.types")
        try:
            return function(*arguments, **named)
        except types.LibcloudError as error:
            raise self._refused(error) from error
        except Exception as error:
            # Drivers raise bare exceptions, and those of their HTTP library.
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> BackendUnavailableError:
        where = f"{self._place.provider} {self._place.zone}".strip()
        text = str(getattr(error, "value", "") or error)[:500]
        return BackendUnavailableError(f"The cloud {where} refuses or cannot be reached: {text}")


def _named(kind: str, wanted: str, found: list[Any]) -> Any:  # noqa: ANN401 - one of libcloud's
    for each in found:
        if wanted in {each.id, each.name}:
            return each
    known = ", ".join(str(each.name) for each in found[:10])
    msg = f"There is no {kind} {wanted!r} here. There are {known}."
    raise InvalidInputError(msg)


def _state(state: object) -> str:
    """Translate libcloud's word; empty: the machine is gone."""
    word = str(getattr(state, "value", state)).lower()
    if word in {"terminated", "shutting-down", "shutting_down"}:
        return ""
    if word in {"running", "rebooting"}:
        return "running"
    return (
        "stopped" if word in {"stopped", "stopping", "suspended", "paused", "error"} else "starting"
    )
