"""Launchers that are killed at any moment leave no machine behind, once a reaper has looked."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.compute.gce_double import ZONE
from tests.worker.workshop import wait

from loopline.backend.http import HttpBackend
from loopline.compute.places import noted_places
from loopline.compute.reap import find_machines, reap
from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun
from loopline.settings import parse_address

if TYPE_CHECKING:
    from tests.compute.conftest import CloudWorkshop

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

QUICK = """
@task
def work():
    time.sleep(0.5)
    note("worked")

with Flow("quick", run_config=VM) as flow:
    work()
flow.register("wagoncab project", no_url=True)
"""

TRIALS = 12


def test_no_machine_is_left_whenever_the_launcher_dies(signed_in: CloudWorkshop) -> None:
    cloud = signed_in
    # A machine that is up soon and a lease that ends soon, so that the trials do.
    cloud.register_on_vm(
        QUICK.replace(
            "with Flow",
            """
import msgspec
VM = msgspec.structs.replace(VM, boot_s=8)
with Flow""",
        ),
        tries=50,
    )
    chance = random.Random(20260205)  # noqa: S311 - no secret
    runs = []
    for trial in range(TRIALS):
        cloud.engine.insert_takes_s = chance.choice([0.0, 0.0, 0.5])
        launcher = cloud.start_launcher(f"launcher-{trial}")
        wait(lambda: "takes flow runs" in cloud.worker_log(f"launcher-{trial}"))  # noqa: B023
        runs.append(cloud.ask_for_run("quick"))
        time.sleep(chance.uniform(0.0, 1.5))
        launcher.kill()
        launcher.wait()
    # One launcher stays: all runs end, and its reaper deletes what the dead ones left.
    cloud.start_launcher("the last")
    for flow_run_id in runs:
        run = cloud.wait_for_state(flow_run_id, StateKind.SUCCESS, StateKind.FAILED)
        assert run.state is StateKind.SUCCESS, run.message
    backend = HttpBackend(parse_address(cloud.uri))
    (place,) = noted_places(cloud.elsewhere / "own")
    assert place.zone == ZONE
    reap(backend, [place])
    assert find_machines(backend, [place]) == []
    assert cloud.engine.names() == []
    assert len(cloud.engine.made) >= 1
    backend.close()


def test_the_reaper_takes_what_nobody_needs_and_nothing_else(signed_in: CloudWorkshop) -> None:
    cloud = signed_in
    from loopline.compute.clouds import open_cloud
    from loopline.records.vm import VMRun
    from loopline.rules.vm_names import VMName, of_store

    cloud.register("""
    @task
    def wait_long():
        wait_for("go on")
    with Flow("here") as flow:
        wait_long()
    flow.register("wagoncab project", no_url=True)
    """)
    cloud.start_worker("worker")
    alive = cloud.ask_for_run("here")
    run = cloud.wait_for_state(alive, StateKind.RUNNING)
    backend = HttpBackend(parse_address(cloud.uri))
    vm = VMRun(
        provider="gce", zone=ZONE, size="e2-small", deadline_s=600,
        connection={"project": "wagoncab", "host": "127.0.0.1", "secure": "false",
                    "port": str(cloud.engine.port)},
    )  # fmt: skip
    engine = open_cloud(vm.place)
    later, store = int(time.time()) + 600, of_store(cloud.uri)
    needed = VMName(store=store, flow_run=alive, token=run.token, deadline_s=later)
    names = {
        str(needed): "",
        str(VMName(store=store, flow_run=alive, token=run.token - 1, deadline_s=later)): "another",
        str(VMName(store=store, flow_run="0" * 32, token=1, deadline_s=later)): "no such flow run",
        str(VMName(store=store, flow_run=alive, token=run.token, deadline_s=1)): "its time is up",
        str(VMName(store="0" * 8, flow_run=alive, token=1, deadline_s=1)): "another store's",
        "ll-mine": "not ours",
    }
    for name in names:
        engine.start(name, vm, "sleep 600")
    found = {each.vm.name: each.why for each in find_machines(backend, [vm.place])}
    assert found.keys() == set(list(names)[:4])
    assert all(names[name] in why for name, why in found.items())
    reap(backend, [vm.place])
    assert cloud.engine.names() == sorted([str(needed), *list(names)[4:]])
    cloud.engine.kill(str(needed))
    (gone,) = reap(backend, [vm.place])
    assert gone.why == "it has stopped"
    assert backend.call(GetFlowRun(flow_run_id=alive)).state is StateKind.RUNNING
    backend.close()


def test_two_launchers_that_ask_for_one_machine_get_one(signed_in: CloudWorkshop) -> None:
    from loopline.compute.clouds import open_cloud
    from loopline.records.vm import VMRun

    vm = VMRun(
        provider="gce", zone=ZONE, size="e2-small",
        connection={"project": "wagoncab", "host": "127.0.0.1", "secure": "false",
                    "port": str(signed_in.engine.port)},
    )  # fmt: skip
    threads = [
        threading.Thread(target=open_cloud(vm.place).start, args=("ll-one", vm, "sleep 60"))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signed_in.engine.made == ["ll-one"]
