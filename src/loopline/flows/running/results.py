"""Results of tasks: how a value is kept with its task run, and read again by a later worker.

The reference in a task run's record is one of: empty (not kept), ``none`` (the value is None),
``inline:`` and base64 (a small pickle in the record itself, so that a number costs no file),
``at:`` with the task's slug and a location (kept by the ``result=`` of the task's author), or
the SHA-256 of a pickle in the blob store, staged before the record that names it.

What is unpickled here was written by an engine that ran a flow of this home; whoever may write
task runs or blobs of it may run flows there, and so code. A server never reads results.
"""

from __future__ import annotations

import base64
import json
import pickle
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from loopline.errors import BackendUnavailableError, IntegrityError, LooplineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from loopline.flows.result_types import ResultType

__all__ = [
    "NOT_KEPT",
    "KeptResults",
    "Result",
    "Stager",
    "dump",
    "keep",
    "load_reference",
    "locate",
    "located",
]

NOT_KEPT = ""
_NONE = "none"
_INLINE = "inline:"
_AT = "at:"

#: A pickle up to this many bytes goes into the record itself.
_INLINE_BYTES = 512

#: Seconds between two tries to reach a store that is away: the first, and the longest.
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0

#: These need no cloudpickle: they carry no code.
_PLAIN = frozenset({int, float, bool, str, bytes})


class Stager(Protocol):
    """Puts bytes where the drain uploads them before the facts that follow."""

    def __call__(self, data: bytes, /) -> tuple[str, int]:
        """Return the SHA-256 of the bytes and their number."""


class Result:
    """A task's value: at hand, as pickled bytes, or as a promise to read it."""

    __slots__ = ("_data", "_load", "_value")

    #: Whether it stays on a cluster until somebody here asks for it.
    is_remote = False
    #: As in a task run's record, when who made it has kept it already.
    reference = NOT_KEPT

    def __init__(
        self, value: object = None, *, data: bytes | None = None,
        load: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        self._value = value
        self._data = data
        self._load = load

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever the task returned
        """The value; read or unpickled the first time."""
        if self._load is not None:
            self._value, self._load = self._load(), None
        elif self._data is not None:
            self._value, self._data = pickle.loads(self._data), None  # noqa: S301 - our own
        return self._value

    @property
    def data(self) -> bytes | None:
        """The pickled bytes, when a worker process sent them and nobody read them yet."""
        return self._data


def dump(value: object) -> bytes:
    """Pickle a value so that another process can read it, also when a script defined its class."""
    if type(value) in _PLAIN:
        return pickle.dumps(value, protocol=5)
    import cloudpickle

    return bytes(cloudpickle.dumps(value, protocol=5))


def keep(result: Result, stage: Stager) -> str:
    """Keep a result durably; return its reference.

    Raises:
        Exception: Whatever pickling the value raises.
    """
    if result.reference:
        return result.reference
    data = result.data
    if data is None:
        value = result.value
        if value is None:
            return _NONE
        data = dump(value)
    if len(data) <= _INLINE_BYTES:
        return _INLINE + base64.b64encode(data).decode()
    return stage(data)[0]


def locate(slug: str, location: str) -> str:
    """Refer to a result that a task's own ``result=`` keeps at a location."""
    return _AT + json.dumps([slug, location])


def located(reference: str) -> tuple[str, str] | None:
    """Read what ``locate`` wrote; None: it is another kind of reference."""
    if not reference.startswith(_AT):
        return None
    slug, location = json.loads(reference.removeprefix(_AT))
    return slug, location


def load_reference(reference: str, open_blob: Callable[[str], BinaryIO]) -> Any:  # noqa: ANN401
    """Read a result back.

    Raises:
        NotFoundError: Its bytes are gone.
        IntegrityError: Its bytes cannot be unpickled here.
    """
    if reference == _NONE:
        return None
    if reference.startswith(_INLINE):
        data = base64.b64decode(reference.removeprefix(_INLINE))
    else:
        with open_blob(reference) as file:
            data = file.read()
    try:
        return pickle.loads(data)  # noqa: S301 - written by this flow run's own engine
    except Exception as error:
        msg = (
            f"The result {reference[:20]}… cannot be read here: {error}. Run the task again, "
            "in the environment the flow was registered from."
        )
        raise IntegrityError(msg) from error


class KeptResults:
    """Results of an earlier holder of a flow run, read once each.

    A store that is away is waited for: the finished work behind a result is worth more than the
    minutes, and the worker ends this process when the run goes to somebody else.

    Args:
        open_blob: Opens a blob by its SHA-256.
        say: Told once when the store has to be waited for.
        of_task: Returns the ``result=`` of a task, by its slug.
    """

    def __init__(
        self,
        open_blob: Callable[[str], BinaryIO],
        say: Callable[[str], None],
        of_task: Callable[[str], ResultType],
    ) -> None:
        self._open_blob = open_blob
        self._say = say
        self._of_task = of_task
        self._results: dict[str, Result] = {}

    def get(self, reference: str) -> Result:
        """Return the result behind a reference; it is read when its value is asked for."""
        if reference not in self._results:
            self._results[reference] = Result(load=partial(self._load, reference))
        return self._results[reference]

    def put(self, reference: str, result: Result) -> None:
        """Keep a result that is at hand under a reference."""
        self._results[reference] = result

    def can_read(self, reference: str) -> bool:
        """Tell whether a result is still there and can be unpickled; what was read is kept."""
        try:
            _ = self.get(reference).value
        except (LooplineError, OSError):
            return False
        return True

    def _load(self, reference: str) -> object:
        delay_s = _FIRST_DELAY_S
        place = located(reference)
        while True:
            try:
                if place is not None:
                    return self._of_task(place[0]).read(place[1]).value
                return load_reference(reference, self._open_blob)
            except BackendUnavailableError as error:
                if delay_s == _FIRST_DELAY_S:
                    self._say(f"Waiting for the store, to read an earlier result: {error}")
                time.sleep(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
