"""A run being recorded: the writer of its facts and files, until it ends."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.facts import RunEnded
from loopline.records.operations import GetRun
from loopline.records.tracking import RunStatus
from loopline.tracking.active import leave, using
from loopline.tracking.files import RunFiles
from loopline.tracking.values import told
from loopline.tracking.writer import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from loopline.backend.recorder import Recorder
    from loopline.records.preprocessing import Preprocessing
    from loopline.records.tracking import Run, RunData

__all__ = ["ActiveRun", "ending"]

MAX_REASON = 1000


class ActiveRun(RunFiles):
    """A run that this process writes to. Use it as a context manager, or end it yourself.

    Its methods need no global state: hand it to threads, callbacks and helpers.

    Attributes:
        run_id: 32 hex digits.
        name: The run's name; empty for one that goes on under an id and was not looked up.
        experiment_name: Name of its experiment.
        status: RUNNING until it is ended here.
        start_ms: Unix time in milliseconds.
        end_ms: Unix time in milliseconds of its end here; None until then.
        user: Who runs it.
        is_ended: Whether it was ended here.
    """

    def __init__(
        self,
        recorder: Recorder,
        run_id: str,
        *,
        name: str,
        experiment_name: str,
        start_ms: int,
        user: str = "",
        is_new: bool = False,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Record a run that was just begun or taken up again.

        Args:
            recorder: Where to.
            run_id: 32 hex digits.
            name: The run's name.
            experiment_name: Name of its experiment.
            start_ms: Unix time in milliseconds.
            user: Who runs it.
            is_new: Whether it was begun here.
            params: Those it has already: another value is then refused at once.
        """
        super().__init__(recorder, run_id, is_new=is_new)
        self._params.update(params or {})
        self.name = name
        self.experiment_name = experiment_name
        self.status = RunStatus.RUNNING
        self.start_ms = start_ms
        self.end_ms: int | None = None
        self.user = user
        self.is_ended = False
        # Durations come from a clock that never jumps.
        self._started = time.monotonic()
        self._pid = os.getpid()

    # --- what it is ---

    @property
    def info(self) -> ActiveRun:
        """The run itself: ``run.info.run_id`` reads as it does with MLflow."""
        return self

    @property
    def run_name(self) -> str:
        """The run's name, as MLflow calls it."""
        return self.name

    @property
    def start_time(self) -> int:
        """Unix time in milliseconds, as MLflow calls it."""
        return self.start_ms

    @property
    def run_uuid(self) -> str:
        """The run's id, as MLflow once called it."""
        return self.run_id

    @property
    def end_time(self) -> int | None:
        """Unix time in milliseconds of its end, or None, as MLflow calls it."""
        return self.end_ms

    @property
    def user_id(self) -> str:
        """Who runs it, as MLflow calls it."""
        return self.user

    @property
    def lifecycle_stage(self) -> str:
        """Its lifecycle, as MLflow calls it: nobody deletes a run that is being recorded."""
        return Lifecycle.ACTIVE.value

    @property
    def artifact_uri(self) -> str:
        """Address of its files, as MLflow calls it."""
        return f"runs:/{self.run_id}"

    @property
    def experiment_id(self) -> str:
        """Id of its experiment; asks the store."""
        return self.fetch().experiment_id

    @property
    def data(self) -> RunData:
        """Latest metric values, params and tags; asks the store."""
        return self.fetch().data

    def fetch(self) -> Run:
        """Read the run from the store, with everything logged so far."""
        return self.recorder.call(GetRun(run_id=self.run_id))

    # --- where it is active ---

    @contextmanager
    def use(self) -> Iterator[Self]:
        """Make it the active run for a block, without ending it: in a thread, in a callback."""
        with using(self):
            yield self

    def log_preprocessing(self, preprocessing: Any) -> Preprocessing:  # noqa: ANN401 - any kind
        """Record what made the inputs; see ``loopline.log_preprocessing``."""
        from loopline.tracking.preprocessing import record_into

        return record_into(self, preprocessing)

    # --- the end ---

    def end(self, status: str = "FINISHED", reason: str | BaseException = "") -> None:
        """End the run; ending it twice does nothing.

        Args:
            status: FINISHED, FAILED or KILLED.
            reason: Why, in words, or the exception that was the reason.

        Raises:
            InvalidInputError: ``status`` or ``reason`` is none; the run goes on.
        """
        if self.is_ended:
            return
        try:
            final = RunStatus(status)
        except ValueError:
            final = RunStatus.RUNNING
        if not final.is_terminal:
            msg = f"A run ends FINISHED, FAILED or KILLED, not {status!r}."
            raise InvalidInputError(msg)
        end_ms = now_ms()
        self._record(
            RunEnded(
                run_id=self.run_id,
                status=final,
                end_ms=end_ms,
                duration_ms=round((time.monotonic() - self._started) * 1000),
                reason=_plain(_said(reason)),
            )
        )
        self.status = final
        self.end_ms = end_ms
        self.is_ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        leave(self)
        if os.getpid() == self._pid:  # A forked child leaves the block, too; the run goes on.
            self.end(*ending(kind, error))

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self.name!r} {self.status.value}>"

    def _repr_html_(self) -> str:
        from loopline.tracking.display import active_run_html

        return active_run_html(self)


def ending(kind: type[BaseException] | None, error: BaseException | None) -> tuple[str, str]:
    """Tell the status, and the reason, of a run that an exception (or none) brought to its end."""
    if kind is None or (isinstance(error, SystemExit) and not error.code):
        return "FINISHED", ""
    if issubclass(kind, KeyboardInterrupt):
        return "KILLED", "interrupted from the keyboard"
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the user's exception, which must still end the run
        said = "its message cannot be shown"
    # A connection's error may quote its password. Imported here, as most runs need it not.
    from loopline.rules.redaction import Redactor
    from loopline.rules.secrets import secrets_in

    said = Redactor(secrets_in(os.environ)).text(said[:MAX_REASON])
    return "FAILED", f"{kind.__name__}: {said}"[:MAX_REASON]


def _said(reason: object) -> str:
    if isinstance(reason, BaseException):
        return ending(type(reason), reason)[1]
    if not isinstance(reason, str):
        msg = (
            f"The reason of a run's end is text or an exception, not {type(reason).__name__} "
            f"({told(reason)}). Give it as text."
        )
        raise InvalidInputError(msg)
    return reason


def _plain(text: str) -> str:
    """Make an exception's words storable, whatever bytes are in them."""
    return text.encode(errors="replace").decode().replace("\0", "\\0")
