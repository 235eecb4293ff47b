"""Parameters: values given when a flow runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Self

from loopline.errors import InvalidInputError
from loopline.flows.authoring.operators import GetItem, no_default
from loopline.flows.authoring.parameter_types import convert, describe_parameter
from loopline.flows.context import run_values
from loopline.flows.running.plain import plain
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.flow import Flow
    from loopline.records.flows import ParameterSpec

__all__ = ["DateTimeParameter", "GetItem", "Parameter", "no_default"]


class Parameter(Task):
    """A value given when the flow runs: ``flow.run(parameters={"month": "2022-03"})``.

    Args:
        name: Its name, unique in the flow, and its slug.
        default: Its value when none is given.
        required: Whether a value must be given; by default when there is no default.
        tags: Words to find it by.
        type: What its values are, such as ``int``, ``str | None`` or ``Literal["xgb", "cat"]``:
            others are refused before anything runs, and ``"3"`` is read as 3. Without it, only
            runs of a registered flow are checked, by the default's type; ``Any``: nothing is.

    Raises:
        InvalidInputError: The default is not of the type that was given.
    """

    def __init__(
        self,
        name: str,
        default: object = no_default,
        required: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        tags: Iterable[str] | None = None,
        *,
        type: Any = None,  # noqa: A002, ANN401 - any annotation
    ) -> None:
        self.type = type
        self.required = default is no_default if required is None else required
        self.default = None if default is no_default else default
        super().__init__(name=name, slug=name, tags=tags)
        if self.default is not None:
            self.check(self.default)  # Or every run that takes it would fail.

    def __call__(self, flow: Flow | None = None) -> Any:  # type: ignore[override] # noqa: ANN401
        """Add the parameter to a flow, also when nothing uses it yet."""
        self._flow(flow, "run()").add_task(self)
        return self

    def copy(self, name: str | None = None, **changes: Any) -> Self:  # noqa: ANN401 - as Task.copy
        """Return another parameter like this one, with a name of its own."""
        renamed = {} if name is None else {"name": name, "slug": name}
        return super().copy(**renamed, **changes)

    def check(self, value: Any) -> Any:  # noqa: ANN401 - whatever somebody gives
        """Return the value a run gets when it is given this one; before anything runs.

        Raises:
            InvalidInputError: It does not fit the type that was given.
        """
        if self.type is None or self.type is Any:
            return value
        if value is None and self.default is None and not self.required:
            return None  # As in ``month: str = None``.
        return convert(self.name, value, self.type)

    def spec(self) -> ParameterSpec:
        """Describe it as data: with the type of its values, as far as that has a name."""
        return describe_parameter(
            self.name, self.type, self.default, required=self.required, plain=plain(self.default)
        )

    def run(self) -> Any:  # noqa: ANN401 - as given
        """Return the value given to the current run."""
        return self.check(run_values.get().get("parameters", {}).get(self.name, self.default))


class DateTimeParameter(Parameter):
    """A time given when the flow runs, as ISO 8601 text or as a ``datetime``.

    Tasks get a ``datetime`` with a time zone; without one, it is UTC. A day is its midnight.

    Args:
        name: Its name, unique in the flow, and its slug.
        default: Its value when none is given and none is required.
        required: Whether a value must be given. When it need not, and there is no default, the
            value is None.
        tags: Words to find it by.
    """

    def __init__(
        self,
        name: str,
        default: object = no_default,
        required: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
        tags: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, default, required, tags, type=datetime)

    def check(self, value: Any) -> Any:  # noqa: ANN401 - whatever somebody gives
        """Read the time.

        Raises:
            InvalidInputError: It is none.
        """
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                msg = (
                    f"The parameter {self.name!r} is a time, and {value!r} cannot be read as one. "
                    "Write it as 2022-03-01 or 2022-03-01T12:00:00+01:00."
                )
                raise InvalidInputError(msg) from None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        if value is None:
            return None
        msg = f"The parameter {self.name!r} is a time, not {value!r}. Give text or a datetime."
        raise InvalidInputError(msg)
