"""The reaper: deletes machines that nobody needs any more, whoever started them and died since."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from loopline.compute.clouds import open_cloud
from loopline.compute.places import noted_places
from loopline.errors import LooplineError, NotFoundError
from loopline.records.operations import GetFlowRun
from loopline.rules.vm_names import of_store, parse_vm_name, why_stray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.backend.protocol import Backend
    from loopline.backend.recorder import Recorder
    from loopline.compute.clouds import Cloud
    from loopline.records.vm import VM, Place
    from loopline.rules.vm_names import VMName

__all__ = ["Found", "Reaper", "find_machines", "reap"]

log = logging.getLogger("loopline.compute")

_EVERY_S = 60.0


class Found(NamedTuple):
    """A machine of this store.

    Attributes:
        why: Why it must go; empty: it may stay.
    """

    place: Place
    vm: VM
    name: VMName
    why: str


def find_machines(
    backend: Backend, places: Iterable[Place], *, open_place: Callable[[Place], Cloud] = open_cloud
) -> list[Found]:
    """List the machines of a store, and say which must go.

    Raises:
        BackendUnavailableError: The store or a cloud cannot be reached.
        InvalidInputError: Credentials for a cloud are missing.
    """
    store = of_store(backend.address.text)
    found = []
    for place in places:
        for vm in open_place(place).list():
            name = parse_vm_name(vm.name)
            if name is not None and name.store == store:
                found.append(Found(place, vm, name, _why(backend, vm, name)))
    return found


def reap(
    backend: Backend, places: Iterable[Place], *, open_place: Callable[[Place], Cloud] = open_cloud
) -> list[Found]:
    """Delete the machines that must go; answer them.

    Raises:
        BackendUnavailableError: As ``find_machines``; what was not deleted is there to find.
    """
    gone = []
    for each in find_machines(backend, places, open_place=open_place):
        if each.why:
            open_place(each.place).delete(each.vm)
            log.info("Deleted machine %s: %s", each.vm.name, each.why)
            gone.append(each)
    return gone


def _why(backend: Backend, vm: VM, name: VMName) -> str:
    state, is_over, token = "", False, 0
    try:
        run = backend.call(GetFlowRun(flow_run_id=name.flow_run))
    except NotFoundError:
        pass
    else:
        state, is_over, token = run.state.value, run.state.is_finished, run.token
    return why_stray(
        name, vm.state, run_state=state, is_over=is_over, run_token=token, now_s=time.time()
    )


class Reaper:
    """Reaps now and then, in a thread of its own, where this home's workers started machines.

    Args:
        recorder: The worker's own.
        every_s: Seconds between two looks.
    """

    def __init__(self, recorder: Recorder, *, every_s: float = _EVERY_S) -> None:
        self._recorder = recorder
        self._every_s = every_s
        self._next = 0.0
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begin a look if it is time; returns at once."""
        if time.monotonic() < self._next or (self._thread and self._thread.is_alive()):
            return
        self._next = time.monotonic() + self._every_s
        if noted_places(self._recorder.home):
            self._thread = threading.Thread(target=self._reap, name="loopline-reaper", daemon=True)
            self._thread.start()

    def _reap(self) -> None:
        for place in noted_places(self._recorder.home):
            try:
                reap(self._recorder.backend, [place])
            except (LooplineError, OSError) as error:
                log.warning("Machines of %s are not looked at now: %s", place.provider, error)
