"""Records of machines in a cloud that run one flow run each."""

from __future__ import annotations

from typing import Any

from loopline.records.base import Record

__all__ = ["VM", "Place", "VMRun"]


class Place(Record, frozen=True, kw_only=True):
    """Where machines are: enough to list and delete them, with credentials from the environment.

    Attributes:
        provider: libcloud's name of the cloud, such as ``"gce"``, ``"ec2"`` or ``"dummy"``.
        zone: Zone (Compute Engine), region (EC2) or location.
        connection: What the driver needs besides that is no secret, such as ``{"project": "..."}``.
    """

    provider: str
    zone: str = ""
    connection: dict[str, str] = {}


class VMRun(Record, frozen=True, kw_only=True):
    """Run each flow run on a cloud machine of its own, which is deleted after it.

    Credentials are none of it: a worker that starts machines takes them from its environment.

    Attributes:
        provider: libcloud's name of the cloud: ``"gce"``, ``"ec2"``, or another of its drivers.
        zone: Zone (Compute Engine), region (EC2) or location.
        size: Machine type, such as ``"e2-standard-4"``.
        image: Compute Engine: path of an image or family; EC2: id of an image.
        connection: As in ``Place``.
        disk_gb: Size of the disk; 0: the image's own.
        disk_type: Such as ``"pd-balanced"`` or ``"gp3"``.
        network: Name of the network (Compute Engine).
        subnetwork: Name (Compute Engine) or id (EC2) of the subnetwork.
        public_ip: Whether the machine has an address outside; without, it needs a way out (NAT).
        service_account: E-mail (Compute Engine) or instance profile (EC2) the machine acts as;
            empty: none.
        labels: Labels or tags of the machine, for bills.
        spot: Take a cheaper machine, which the cloud may take back.
        accelerators: Accelerators by type, such as ``{"nvidia-tesla-t4": 1}`` (Compute Engine).
        server: Address of the Loopline server as the machine reaches it; empty: ``LOOPLINE_VM_URI``
            where the worker runs, else the server that the worker itself uses.
        install: ``"recorded"``: a Python as recorded, with the recorded packages;
            ``"nothing"``: the image has all of it.
        python: With ``"nothing"``: the interpreter that has it.
        loopline: What pip installs Loopline from; empty: the version that registered the flow.
        packages: Requirements besides the recorded ones.
        before: Lines of shell that run first, such as mounting a disk.
        env: Environment variables of the flow run; no secrets, for the cloud's console shows them.
        deadline_s: The machine ends after so many seconds, whatever it does; 60 or more.
        boot_s: Seconds that it may take until the flow run begins.
        tries: How many machines may be tried for one flow run.
        options: Further arguments of libcloud's ``create_node`` (not with Compute Engine).
    """

    provider: str
    zone: str = ""
    size: str
    image: str = ""
    connection: dict[str, str] = {}
    disk_gb: int = 0
    disk_type: str = ""
    network: str = ""
    subnetwork: str = ""
    public_ip: bool = True
    service_account: str = ""
    labels: dict[str, str] = {}
    spot: bool = False
    accelerators: dict[str, int] = {}
    server: str = ""
    install: str = "recorded"
    python: str = "python3"
    loopline: str = ""
    packages: list[str] = []
    before: str = ""
    env: dict[str, str] = {}
    deadline_s: int = 86_400
    boot_s: int = 900
    tries: int = 3
    options: dict[str, Any] = {}

    @property
    def place(self) -> Place:
        """Where its machines are."""
        return Place(provider=self.provider, zone=self.zone, connection=self.connection)


class VM(Record, frozen=True, kw_only=True):
    """A machine there is.

    Attributes:
        id: The cloud's own id; a name where that is unique.
        name: Says what it is for; see ``loopline.rules.vm_names``.
        state: ``"starting"``, ``"running"`` or ``"stopped"`` (which may still cost something).
    """

    id: str
    name: str
    state: str
