"""EC2: its machines through libcloud's driver. A machine that shuts down is deleted by EC2."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from loopline.compute.clouds import LibcloudCloud, driver_options, libcloud_module, variable
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.records.vm import VM, VMRun

__all__ = ["AmazonCloud"]


class AmazonCloud(LibcloudCloud):
    """A region of EC2.

    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and, with passing credentials,
    ``AWS_SESSION_TOKEN`` are taken from the environment.
    """

    def _open(self) -> Any:  # noqa: ANN401 - a driver
        region = self._place.zone or variable("AWS_REGION", "EC2")
        options = driver_options(self._place)
        if os.environ.get("AWS_SESSION_TOKEN"):
            options["token"] = os.environ["AWS_SESSION_TOKEN"]
        driver = libcloud_module("compute.drivers.ec2").EC2NodeDriver
        return self.call(
            driver,
            variable("AWS_ACCESS_KEY_ID", "EC2"),
            variable("AWS_SECRET_ACCESS_KEY", "EC2"),
            region=region,
            signature_version="4",  # The old one is refused in newer regions.
            **options,
        )

    def start(self, name: str, vm: VMRun, script: str) -> None:
        """Make a machine; see ``Cloud``."""
        if not vm.image:
            msg = "EC2 has no image that fits everybody: give VMRun(image='ami-...')."
            raise InvalidInputError(msg)
        if any(each.name == name for each in self.list()):
            return
        base = libcloud_module("compute.base")
        ec2 = libcloud_module("compute.drivers.ec2")
        options: dict[str, Any] = {
            "ex_userdata": script,
            "ex_metadata": {**vm.labels, "loopline-store": name.split("-")[1]},
            "ex_terminate_on_shutdown": True,
            "ex_clienttoken": name,  # Asking twice makes one machine.
            "ex_spot": vm.spot,
        }
        if vm.disk_gb or vm.disk_type:
            disk: dict[str, Any] = {"DeleteOnTermination": "true"}
            if vm.disk_gb:
                disk["VolumeSize"] = vm.disk_gb
            if vm.disk_type:
                disk["VolumeType"] = vm.disk_type
            device = vm.options.get("root_device", "/dev/xvda")
            options["ex_blockdevicemappings"] = [{"DeviceName": device, "Ebs": disk}]
        if vm.subnetwork:
            options["ex_subnet"] = ec2.EC2NetworkSubnet(vm.subnetwork, vm.subnetwork, "available")
            options["ex_assign_public_ip"] = vm.public_ip
        if vm.service_account:
            options["ex_iamprofile"] = vm.service_account
        options |= {key: value for key, value in vm.options.items() if key != "root_device"}
        size = base.NodeSize(
            id=vm.size, name=vm.size, ram=0, disk=0, bandwidth=0, price=0, driver=self.driver
        )
        image = base.NodeImage(id=vm.image, name=vm.image, driver=self.driver)
        self.call(self.driver.create_node, name=name, size=size, image=image, **options)

    def name_of(self, node: Any) -> str:  # noqa: ANN401 - libcloud's
        """Tell it from the token of the request: the name is a tag, which comes a moment later."""
        token = str(node.extra.get("client_token") or "")
        return token if token.startswith("ll-") else str(node.name)

    def console(self, vm: VM) -> str:
        """Read the console; see ``Cloud``."""
        for node in self.call(self.driver.list_nodes):
            if str(node.id) == vm.id:
                answer = self.call(self.driver.ex_get_console_output, node)
                return str(answer.get("output") or "")
        return ""
