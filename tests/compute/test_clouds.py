"""What all clouds must do: libcloud's dummy, and doubles of Compute Engine and EC2."""

from __future__ import annotations

import base64
import re
import urllib.request
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.compute.gce_double import PROJECT, ZONE, ComputeEngine

from loopline.compute.clouds import open_cloud
from loopline.compute.gce import instance_body
from loopline.errors import BackendUnavailableError, InvalidInputError
from loopline.records.vm import Place, VMRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE = f"ll-{'0' * 8}-{'a' * 32}-1-00000001"
TWO = f"ll-{'0' * 8}-{'b' * 32}-1-00000001"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComputeEngine]:
    engine = ComputeEngine(tmp_path / "engine")
    key = engine.write_key(tmp_path / "key.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    yield engine
    engine.close()


@pytest.fixture
def gce(engine: ComputeEngine) -> VMRun:
    at = {"host": "127.0.0.1", "port": str(engine.port), "secure": "false"}
    return VMRun(provider="gce", zone=ZONE, size="e2-small", connection={"project": PROJECT, **at})


@pytest.fixture
def dummy() -> VMRun:
    return VMRun(provider="dummy", size="Small", image="Ubuntu 9.04")


@pytest.fixture
def named_dummy(dummy: VMRun) -> VMRun:
    """Take libcloud's dummy with one difference: its machines are called what was asked for."""
    providers = import_module("libcloud.compute.providers")
    if "named_dummy" not in providers.DRIVERS:
        providers.set_driver("named_dummy", __name__, "NamedDummy")
    return msgspec.structs.replace(dummy, provider="named_dummy")


class NamedDummy(import_module("libcloud.compute.drivers.dummy").DummyNodeDriver):  # type: ignore[misc]
    def create_node(self, **named: Any) -> Any:  # noqa: ANN401 - libcloud's
        node = super().create_node(**named)
        node.name = named["name"]
        return node


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[VMRun]:
    server = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    server._server.app = _of_the_version_asked_for(server._server.app)
    host, port = server.get_host_and_port()
    reset = f"http://{host}:{port}/moto-api/reset"  # All servers of a process share their state.
    urllib.request.urlopen(urllib.request.Request(reset, method="POST")).close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wagoncab")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wagoncab")
    yield VMRun(
        provider="ec2", zone="us-east-1", size="t3.small", image="ami-12c6146b",
        disk_gb=30, labels={"team": "wagoncab"}, spot=False,
        connection={"host": host, "port": str(port), "secure": "false"},
    )  # fmt: skip
    server.stop()


def _of_the_version_asked_for(application: Any) -> Any:  # noqa: ANN401 - WSGI
    """End the name of the answers' namespace as EC2 does, which libcloud heeds; moto does not."""

    def answer(environment: dict[str, Any], start: Any) -> Any:  # noqa: ANN401 - as above
        begun: list[Any] = []
        body = b"".join(application(environment, lambda *given: begun.append(given)))
        body = re.sub(rb'(http://ec2\.amazonaws\.com/doc/[-\d]+)"', rb'\1/"', body)
        status, headers, *_ = begun[-1]
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    return answer


CLOUDS = ["named_dummy", "gce", pytest.param("ec2", marks=pytest.mark.deep)]


@pytest.mark.parametrize("kind", CLOUDS)
def test_machines_are_made_once_listed_and_deleted(
    kind: str, request: pytest.FixtureRequest
) -> None:
    vm: VMRun = request.getfixturevalue(kind)
    cloud = open_cloud(vm.place)
    for name in (ONE, TWO, ONE):
        cloud.start(name, vm, "sleep 600")
    found = {each.name: each for each in cloud.list()}
    assert sorted(each.name for each in cloud.list()) == [ONE, TWO]
    assert {each.state for each in found.values()} <= {"starting", "running"}
    assert isinstance(cloud.console(found[ONE]), str)
    cloud.delete(found[ONE])
    assert [each.name for each in cloud.list()] == [TWO]
    cloud.delete(found[ONE])  # Gone already.
    cloud.delete(found[TWO])
    assert cloud.list() == []


@pytest.mark.deep
def test_on_ec2_a_machine_has_its_script_and_ends_when_it_shuts_down(ec2: VMRun) -> None:
    cloud: Any = open_cloud(ec2.place)
    cloud.start(ONE, ec2, "#!/bin/bash\nsleep 600")
    client = import_module("boto3").client(
        "ec2", region_name="us-east-1",
        endpoint_url=f"http://{ec2.connection['host']}:{ec2.connection['port']}",
    )  # fmt: skip
    (machine,) = client.describe_instances()["Reservations"][0]["Instances"]
    tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}
    assert tags == {"Name": ONE, "team": "wagoncab", "loopline-store": "0" * 8}

    def attribute(name: str) -> Any:  # noqa: ANN401 - as boto3 has it
        answer = client.describe_instance_attribute(
            InstanceId=machine["InstanceId"], Attribute=name
        )
        return next(value for key, value in answer.items() if key.lower() == name.lower())

    assert base64.b64decode(attribute("userData")["Value"]).startswith(b"#!/bin/bash")
    assert attribute("instanceInitiatedShutdownBehavior")["Value"] == "terminate"
    cloud.delete(cloud.list()[0])


def test_on_compute_engine_the_cloud_itself_ends_a_machine_that_everybody_forgot() -> None:
    vm = VMRun(
        provider="gce", zone="europe-west1-b", size="n1-standard-4", disk_gb=50, spot=True,
        disk_type="pd-balanced", subnetwork="inner", public_ip=False, labels={"team": "wagoncab"},
        service_account="loopline@wagoncab.iam.gserviceaccount.com", deadline_s=3600,
        accelerators={"nvidia-tesla-t4": 1},
    )  # fmt: skip
    body = instance_body(ONE, vm, "script")
    assert body["scheduling"] == {
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "provisioningModel": "SPOT",
        "instanceTerminationAction": "DELETE",
        "maxRunDuration": {"seconds": "3600"},
    }
    assert body["machineType"] == "zones/europe-west1-b/machineTypes/n1-standard-4"
    assert body["labels"] == {"team": "wagoncab", "loopline-store": "0" * 8}
    (disk,) = body["disks"]
    assert disk["autoDelete"]
    assert disk["initializeParams"]["diskSizeGb"] == "50"
    (network,) = body["networkInterfaces"]
    assert network == {
        "network": "global/networks/default",
        "subnetwork": "regions/europe-west1/subnetworks/inner",
    }
    assert body["serviceAccounts"][0]["email"] == vm.service_account
    assert body["guestAccelerators"][0]["acceleratorCount"] == 1


def test_a_refusal_is_told_in_the_clouds_own_words(engine: ComputeEngine, gce: VMRun) -> None:
    engine.refuse = 1
    with pytest.raises(BackendUnavailableError, match="Quota 'CPUS' exceeded"):
        open_cloud(gce.place).start(ONE, gce, "sleep 600")
    assert open_cloud(gce.place).list() == []


def test_a_key_that_is_not_the_accounts_is_refused(
    engine: ComputeEngine, gce: VMRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ComputeEngine(tmp_path / "other")
    monkeypatch.setenv(
        "GOOGLE_APPLICATION_CREDENTIALS", str(other.write_key(tmp_path / "other.json"))
    )
    with pytest.raises(BackendUnavailableError, match="refuses"):
        open_cloud(gce.place)
    other.close()
    del engine


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="zone="):
        open_cloud(Place(provider="gce"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(InvalidInputError, match=r"none\.json, which cannot be read"):
        open_cloud(Place(provider="gce", zone="z"))
    (tmp_path / "user.json").write_text('{"type": "authorized_user"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "user.json"))
    with pytest.raises(InvalidInputError, match="no key of a service account"):
        open_cloud(Place(provider="gce", zone="z"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(InvalidInputError, match="AWS_ACCESS_KEY_ID"):
        open_cloud(Place(provider="ec2", zone="us-east-1"))
    with pytest.raises(InvalidInputError, match="no cloud 'gcee'"):
        open_cloud(Place(provider="gcee"))


def test_a_cloud_that_keeps_no_names_gets_no_machines(dummy: VMRun) -> None:
    cloud: Any = open_cloud(dummy.place)
    before = len(cloud.driver.list_nodes())
    with pytest.raises(InvalidInputError, match="could not be found again"):
        cloud.start(ONE, dummy, "sleep 600")
    assert len(cloud.driver.list_nodes()) == before


def test_a_size_that_is_not_there_is_told_with_those_that_are(dummy: VMRun) -> None:
    with pytest.raises(InvalidInputError, match="There are Small, Medium"):
        open_cloud(dummy.place).start(ONE, msgspec.structs.replace(dummy, size="Giant"), "")
