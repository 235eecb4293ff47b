"""Compute Engine: its machines through the connection of libcloud's driver.

The driver signs in, and waits for operations. Requests are Compute Engine's own, for the driver's
``create_node`` does not know the limit of a machine's life (``maxRunDuration``), by which the cloud
itself deletes a machine that everybody forgot.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.compute.clouds import LibcloudCloud, driver_options, libcloud_module, variable
from loopline.errors import BackendUnavailableError, InvalidInputError
from loopline.records.vm import VM

if TYPE_CHECKING:
    from loopline.records.vm import VMRun

__all__ = ["GoogleCloud", "instance_body"]

DEFAULT_IMAGE = "projects/debian-cloud/global/images/family/debian-12"
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_STATES = {
    "PROVISIONING": "starting",
    "STAGING": "starting",
    "RUNNING": "running",
    "REPAIRING": "running",
    "PENDING": "starting",
}


class GoogleCloud(LibcloudCloud):
    """A zone of Compute Engine.

    ``GOOGLE_APPLICATION_CREDENTIALS`` names the key file of a service account. Without it the
    account of the machine that this runs on is taken, on Compute Engine.
    """

    def _open(self) -> Any:  # noqa: ANN401 - a driver
        if not self._place.zone:
            msg = 'Say where the machines shall be: VMRun(provider="gce", zone="europe-west1-b").'
            raise InvalidInputError(msg)
        file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        key = _read_key(Path(file)) if file else {}
        options = driver_options(self._place)
        project = options.pop("project", "") or key.get("project_id", "")
        if not project:
            project = variable("GOOGLE_CLOUD_PROJECT", "Compute Engine")
        driver = _driver_at(
            {name: options.pop(name) for name in ("host", "port") if name in options}
        )
        return self.call(
            driver,
            key.get("client_email", ""),
            key.get("private_key", ""),
            project=project,
            auth_type="SA" if key else "GCE",
            scopes=_SCOPES,
            credential_file=os.devnull,  # Access tokens are kept nowhere.
            **options,
        )

    @property
    def _instances(self) -> str:
        return f"/zones/{self._place.zone}/instances"

    def start(self, name: str, vm: VMRun, script: str) -> None:
        """Make a machine; see ``Cloud``."""
        body = instance_body(name, vm, script)
        try:
            self.call(
                self.driver.connection.async_request, self._instances, method="POST", data=body
            )
        except BackendUnavailableError as error:
            if _code(error) == "alreadyExists" or "already exists" in str(error):
                return
            raise

    def list(self) -> list[VM]:
        """List our machines; see ``Cloud``."""
        found: list[VM] = []
        page = ""
        while True:
            params = {"filter": "labels.loopline-store:*", "maxResults": 500}
            if page:
                params["pageToken"] = page
            answer = self.call(self.driver.connection.request, self._instances, params=params)
            found += [
                VM(id=each["name"], name=each["name"], state=_STATES.get(each["status"], "stopped"))
                for each in answer.object.get("items", ())
            ]
            page = answer.object.get("nextPageToken", "")
            if not page:
                return found

    def delete(self, vm: VM) -> None:
        """Delete a machine; see ``Cloud``."""
        try:
            self.call(
                self.driver.connection.async_request,
                f"{self._instances}/{vm.id}",
                method="DELETE",
            )
        except BackendUnavailableError as error:
            if _code(error) != "notFound" and "not found" not in str(error).lower():
                raise

    def console(self, vm: VM) -> str:
        """Read the serial port; see ``Cloud``."""
        answer = self.call(self.driver.connection.request, f"{self._instances}/{vm.id}/serialPort")
        return str(answer.object.get("contents", ""))


def instance_body(name: str, vm: VMRun, script: str) -> dict[str, Any]:
    """Write the request that makes a machine."""
    zone = f"zones/{vm.zone}"
    disk: dict[str, Any] = {"sourceImage": vm.image or DEFAULT_IMAGE}
    if vm.disk_gb:
        disk["diskSizeGb"] = str(vm.disk_gb)
    if vm.disk_type:
        disk["diskType"] = f"{zone}/diskTypes/{vm.disk_type}"
    network: dict[str, Any] = {"network": f"global/networks/{vm.network or 'default'}"}
    if vm.subnetwork:
        network["subnetwork"] = f"regions/{vm.zone.rpartition('-')[0]}/subnetworks/{vm.subnetwork}"
    if vm.public_ip:
        network["accessConfigs"] = [{"type": "ONE_TO_ONE_NAT", "name": "External NAT"}]
    body: dict[str, Any] = {
        "name": name,
        "machineType": f"{zone}/machineTypes/{vm.size}",
        "labels": {**vm.labels, "loopline-store": name.split("-")[1]},
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": disk}],
        "networkInterfaces": [network],
        "metadata": {"items": [{"key": "startup-script", "value": script}]},
        "scheduling": {
            "automaticRestart": False,
            "onHostMaintenance": "TERMINATE" if vm.spot or vm.accelerators else "MIGRATE",
            "provisioningModel": "SPOT" if vm.spot else "STANDARD",
            "instanceTerminationAction": "DELETE",
            "maxRunDuration": {"seconds": str(vm.deadline_s)},
        },
    }
    if vm.service_account:
        body["serviceAccounts"] = [{"email": vm.service_account, "scopes": _SCOPES}]
    if vm.accelerators:
        body["guestAccelerators"] = [
            {"acceleratorType": f"{zone}/acceleratorTypes/{kind}", "acceleratorCount": count}
            for kind, count in vm.accelerators.items()
        ]
    return body


def _driver_at(endpoint: dict[str, Any]) -> Any:  # noqa: ANN401 - a class of libcloud
    """Give the driver for another endpoint; the driver's own arguments for that do not work."""
    gce = libcloud_module("compute.drivers.gce")

    class Connection(gce.GCEConnection):  # type: ignore[misc, name-defined] # libcloud has no types
        def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - libcloud's
            super().__init__(*arguments, **endpoint, **named)

    class Driver(gce.GCENodeDriver):  # type: ignore[misc, name-defined] # as above
        connectionCls = Connection  # noqa: N815 - libcloud's name

    return Driver


def _read_key(path: Path) -> dict[str, str]:
    try:
        key: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        msg = f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which cannot be read: {error}"
        raise InvalidInputError(msg) from None
    if key.get("type") != "service_account":
        msg = (
            f"{path} is no key of a service account (its type is {key.get('type')!r}). Make one in "
            "the console, or run on a machine of Compute Engine that has an account."
        )
        raise InvalidInputError(msg)
    return key


def _code(error: BackendUnavailableError) -> str:
    return str(getattr(error.__cause__, "code", ""))
