"""Launching: a flow run that a worker holds gets a cloud machine, which takes the hold over.

The machine works under the worker's fencing token, so nothing has to change hands: both renew one
lease. A worker that dies leaves a machine that goes on; a machine that dies leaves a lease that
runs out. Another worker then claims the run under the next token, and the machine, if it lives
after all, is fenced, and reaped for its token.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from loopline.compute.clouds import open_cloud
from loopline.compute.places import note_place
from loopline.compute.script import Job, start_script
from loopline.errors import (
    InvalidInputError,
    LeaseLostError,
    LooplineError,
    MissingExtraError,
)
from loopline.records.flows import StateKind
from loopline.records.operations import (
    CreateToken,
    ReleaseFlowRun,
    RenewLease,
    RevokeToken,
)
from loopline.rules.vm_names import VMName, of_store
from loopline.settings import authorization

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.recorder import Recorder
    from loopline.compute.clouds import Cloud
    from loopline.records.flows import FlowRun, FlowRunLease
    from loopline.records.vm import VM, VMRun

__all__ = ["Launched"]

log = logging.getLogger("loopline.compute")

#: Seconds between two looks at the machine; each costs the cloud a request.
_LOOK_S = 15.0
#: Seconds for which the deletion of a machine is tried here before it is left to the reaper, and
#: between two tries.
_DELETE_S, _DELETE_PAUSE_S = 60.0, 2.0
_LAST_LINES = 5
#: Seconds before a cloud that refused is asked again: so many for each time, and at most.
_PUT_OFF_S, _LONGEST_PUT_OFF_S = 10.0, 60.0


class Launched:
    """A flow run on a machine of its own; to the worker it is like one in a process of its own.

    Args:
        lease: The hold on it.
        recorder: The worker's own.
        lease_s: How long each renewal holds it once the machine works on it.
        on_end: Called, in a thread, when there is nothing more to do here.
        write_end: Records an end that nobody else recorded.
        look_s: Seconds between two looks at the machine.
    """

    def __init__(
        self,
        lease: FlowRunLease,
        recorder: Recorder,
        *,
        lease_s: float,
        on_end: Callable[[], object],
        write_end: Callable[[Recorder, FlowRunLease, StateKind, str], None],
        look_s: float = _LOOK_S,
    ) -> None:
        self.lease = lease
        self._recorder = recorder
        self._lease_s = lease_s
        self._on_end = on_end
        self._write_end = write_end
        self._look_s = look_s
        self._leave = threading.Event()
        self._name = ""
        self._booting_until = 0.0
        self._thread = threading.Thread(target=self._run, name="loopline-launch", daemon=True)

    @property
    def flow_run_id(self) -> str:
        """The flow run."""
        return self.lease.flow_run.flow_run_id

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hand_back(self) -> None:
        """Leave it to its machine: that goes on without this worker."""
        self._leave.set()

    def cancel(self) -> None:
        """Nothing: the machine's worker is told as well, and before it is up the lease tells."""

    def pause(self, *, paused: bool) -> None:
        """Nothing: as above."""
        del paused

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until there is nothing more to do here; False when there is."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        token_id = ""
        try:
            vm = self._config()
            place = open_cloud(vm.place)
            server = self._server(vm)
            api_token, token_id = self._api_token()
            self._launch(place, vm, server, api_token)
            self._watch(place, vm)
        except LeaseLostError as error:
            log.warning("%s", error)
        except (InvalidInputError, MissingExtraError) as error:
            self._end(StateKind.FAILED, str(error))
        except LooplineError as error:
            self._put_off(f"No machine could be had: {error}")
        except Exception:
            log.exception("Flow run %s could not be launched", self.flow_run_id)
        finally:
            if token_id and not self._leave.is_set():
                self._revoke(token_id)
            self._on_end()

    def _config(self) -> VMRun:
        code = self.lease.flow_version.code
        if code is None or code.vm is None:
            msg = "The flow version names no machine. Register it with Flow(run_config=VMRun(...))."
            raise InvalidInputError(msg)
        return code.vm

    def _server(self, vm: VMRun) -> str:
        address = self._recorder.backend.address
        server = vm.server or os.environ.get("LOOPLINE_VM_URI", "")
        if not server and address.kind == "http":
            server = address.text
        if not server:
            msg = (
                f"A machine in a cloud cannot reach {address}. Start a server (`loopline up`), and "
                "say its address as the machine reaches it: VMRun(server=...) or LOOPLINE_VM_URI."
            )
            raise InvalidInputError(msg)
        return server

    def _api_token(self) -> tuple[str, str]:
        """Make a token for the machine: the worker's own user's, without administration, a day."""
        backend = self._recorder.backend
        if backend.address.kind != "http" or not authorization(backend.address):
            return os.environ.get("LOOPLINE_VM_TOKEN", ""), ""  # Or the server asks nobody.
        days = max(-(-self._config().deadline_s // 86_400), 1)
        made = backend.call(
            CreateToken(name=f"machine of {self.flow_run_id}", scope="write", days=days)
        )
        return made.secret, made.token.token_id

    def _launch(self, cloud: Cloud, vm: VMRun, server: str, api_token: str) -> None:
        run, version = self.lease.flow_run, self.lease.flow_version
        self._name = str(
            VMName(
                store=of_store(self._recorder.backend.address.text),
                flow_run=run.flow_run_id,
                token=self.lease.token,
                deadline_s=int(time.time()) + vm.deadline_s,
            )
        )
        code = version.code
        script = start_script(
            vm,
            Job(
                name=self._name,
                flow_run_id=run.flow_run_id,
                token=self.lease.token,
                server=server,
                api_token=api_token,
                python=code.python if code else "",
                requirements=code.requirements if code else [],
                loopline=version.environment.get("loopline", ""),
            ),
        )
        note_place(self._recorder.home, vm.place)
        # Longer than a machine takes to come up: should this worker die now, nobody starts another.
        self._renew(vm.boot_s)
        self._booting_until = time.monotonic() + vm.boot_s
        cloud.start(self._name, vm, script)
        log.info("Flow run %s gets machine %s", run.flow_run_id, self._name)

    def _watch(self, cloud: Cloud, vm: VMRun) -> None:
        """Wait until the flow run is over, and see that its machine is there meanwhile."""
        next_look = time.monotonic() + self._look_s
        has_begun = False
        while not self._leave.wait(min(self._lease_s / 3, self._look_s)):
            try:
                run = self._renew(self._lease_s if has_begun else vm.boot_s)
            except LeaseLostError:
                # Over, handed back by the machine, or taken over: the machine must go in each case.
                self._delete(cloud)
                raise
            except LooplineError as error:
                log.warning("The lease of %s is not renewed now: %s", self.flow_run_id, error)
                continue
            has_begun = has_begun or run.state is not StateKind.SUBMITTED
            if run.state.is_finished:
                self._delete(cloud)
                return
            if run.cancel_requested and not has_begun:
                self._delete(cloud)
                self._end(StateKind.CANCELLED, "cancelled before its machine was up")
                return
            late = not has_begun and time.monotonic() > self._booting_until
            if time.monotonic() >= next_look or late:
                next_look = time.monotonic() + self._look_s
                why = f"it was not up in {vm.boot_s} s" if late else self._why_dead(cloud)
                if why:
                    self._give_up(cloud, vm, why)
                    return

    def _why_dead(self, cloud: Cloud) -> str:
        try:
            machine = self._find(cloud)
        except LooplineError as error:
            log.warning("The machine of %s is not looked at now: %s", self.flow_run_id, error)
            return ""
        if machine is None:
            return "it is gone"
        return "it has stopped" if machine.state == "stopped" else ""

    def _find(self, cloud: Cloud) -> VM | None:
        return next((each for each in cloud.list() if each.name == self._name), None)

    def _give_up(self, cloud: Cloud, vm: VMRun, why: str) -> None:
        """Try another machine, or none any more: as many tokens as there were tries."""
        said = self._last_words(cloud)
        self._delete(cloud)
        if self._renew(self._lease_s).state.is_finished:  # Its last word came meanwhile.
            return
        message = f"Machine {self._name} ended before its flow run did: {why}.{said}"
        if self.lease.token >= vm.tries:
            self._end(StateKind.FAILED, message)
        else:
            self._give_back(message)

    def _put_off(self, message: str) -> None:
        """Try again a little later, here or elsewhere, as often as may be."""
        if self.lease.token >= self._config().tries:
            self._end(StateKind.FAILED, message)
            return
        self._leave.wait(min(_PUT_OFF_S * self.lease.token, _LONGEST_PUT_OFF_S))
        self._give_back(message)

    def _last_words(self, cloud: Cloud) -> str:
        try:
            machine = self._find(cloud)
            lines = cloud.console(machine).strip().splitlines() if machine else []
        except LooplineError:
            return ""
        last = " | ".join(line.strip() for line in lines[-_LAST_LINES:])
        return f" Its console ends with: {last[-1000:]}" if last else ""

    def _delete(self, cloud: Cloud) -> None:
        until = time.monotonic() + _DELETE_S
        while True:
            try:
                machine = self._find(cloud)
                if machine is not None:
                    cloud.delete(machine)
            except LooplineError as error:
                if time.monotonic() > until or self._leave.wait(_DELETE_PAUSE_S):
                    log.warning("Machine %s is left to the reaper: %s", self._name, error)
                    return
            else:
                log.info("Machine %s is gone", self._name)
                return

    def _renew(self, lease_s: float) -> FlowRun:
        return self._recorder.backend.call(
            RenewLease(flow_run_id=self.flow_run_id, token=self.lease.token, lease_s=lease_s)
        )

    def _end(self, state: StateKind, message: str) -> None:
        try:
            self._write_end(self._recorder, self.lease, state, message)
        except LooplineError as error:
            log.warning("The end of %s waits in the journal: %s", self.flow_run_id, error)

    def _give_back(self, reason: str) -> None:
        log.warning("%s: %s", self.flow_run_id, reason)
        try:
            self._recorder.backend.call(
                ReleaseFlowRun(flow_run_id=self.flow_run_id, token=self.lease.token, reason=reason)
            )
        except LooplineError as error:
            log.warning("%s is left to its lease: %s", self.flow_run_id, error)

    def _revoke(self, token_id: str) -> None:
        try:
            self._recorder.backend.call(RevokeToken(token_id=token_id))
        except LooplineError as error:
            log.warning("Token %s ends by itself: %s", token_id, error)
