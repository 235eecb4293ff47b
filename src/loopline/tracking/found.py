"""What searches answer: lists that know where the next page begins and show well in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from loopline.errors import InvalidInputError
from loopline.records.base import DRAWN
from loopline.records.tracking import Experiment, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Experiments", "Found", "Runs", "lifecycle_of", "orders"]

T = TypeVar("T")
#: MLflow's numbers for what a search looks at.
VIEWS = {None: "active", 1: "active", 2: "deleted", 3: "all"}
WORDS = {
    "ACTIVE_ONLY": "active",
    "DELETED_ONLY": "deleted",
    "ALL": "all",
    **{word: word for word in ("active", "deleted", "all")},
}


class Found(list[T]):
    """A page of a search.

    Attributes:
        token: Give it as ``page_token`` to get the next page; empty when there is none.
    """

    def __init__(self, items: Iterable[T] = (), token: str = "") -> None:
        super().__init__(items)
        self.token = token


class Runs(Found[Run]):
    """Runs that a search found."""

    def _repr_html_(self) -> str:
        from loopline.tracking.display import runs_html

        return runs_html(self)


class Experiments(Found[Experiment]):
    """Experiments that a search found."""

    def _repr_html_(self) -> str:
        from loopline.tracking.display import experiments_html

        return experiments_html(self)


def orders(order_by: Sequence[str] | None) -> list[str]:
    """Take what to order by.

    Raises:
        InvalidInputError: It is one text, whose letters would be taken for orders.
    """
    if isinstance(order_by, str):
        msg = f"Give order_by as a list, even of one: order_by=[{order_by!r}]."
        raise InvalidInputError(msg)
    return list(order_by or ())


def lifecycle_of(view: Any) -> str:  # noqa: ANN401 - MLflow's ViewType, a number, or a word
    """Turn a view type into ``"active"``, ``"deleted"`` or ``"all"``.

    Raises:
        InvalidInputError: It is none.
    """
    found = WORDS.get(view) if isinstance(view, str) else VIEWS.get(view)
    if found is None:
        msg = f"A view is 1 (active), 2 (deleted) or 3 (all), not {view!r}."
        raise InvalidInputError(msg)
    return found


def _run_html(run: Run) -> str:
    from loopline.tracking.display import run_html

    return run_html(run)


def _experiment_html(experiment: Experiment) -> str:
    from loopline.tracking.display import experiment_html

    return experiment_html(experiment)


# Single records show themselves as well; what draws them is imported when that happens.
DRAWN[Run] = _run_html
DRAWN[Experiment] = _experiment_html
