"""The incident: somebody forces a bad model into Production, and it is rolled back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loopline import lifecycle, registry
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.demo.live import LiveModel

__all__ = ["Incident", "force_and_roll_back"]

#: Answers of the bad model that riders get before anybody acts.
LIVE_ANSWERS = 50


class Incident(Record, frozen=True, kw_only=True):
    """A bad model in Production, and how it went away.

    Attributes:
        version: The bad one.
        back_to: The one that was there before, and is there again.
        error: Fare error of the bad one on the newest month, RMSE in dollars.
        usual: That of the one before.
        answers: Riders that it gave a fare, 0 when nobody could ask.
        live_error: By how far these fares were off, RMSE in dollars; None: nobody could ask.
        reason: What the history keeps of the rollback.
    """

    version: int
    back_to: int
    error: float
    usual: float
    answers: int = 0
    live_error: float | None = None
    reason: str

    @property
    def sentence(self) -> str:
        """Tell it as a person would."""
        live = ""
        if self.live_error is not None:
            live = f" Riders got {self.answers} fares from it, off by {self.live_error:.2f}."
        return (
            f"Then v{self.version}, trained on kilometres by mistake, was forced in by hand: off "
            f"by {self.error:.2f} dollars instead of {self.usual:.2f}.{live} It was rolled back, "
            f"and v{self.back_to} answers again."
        )


def force_and_roll_back(
    month: str,
    *,
    model: str,
    name: str,
    data: str,
    live: LiveModel | None,
    on_step: Callable[[str, str], None] = lambda _month, _step: None,
    say: Callable[[str], None] = print,
) -> Incident | None:
    """Train a bad model, move it to Production by hand, see what it does, and take it back.

    Args:
        month: The newest month.
        model: ``"sklearn"`` or ``"keras"``.
        name: Of the registered model.
        data: Folder of the trips.
        live: The serving process, or None.
        on_step: Told the month and what happens.
        say: Told each of the two moves in a line.

    Returns:
        What happened, or None when there is no model in Production to go back to.
    """
    from taxifare.interface import main as interface
    from taxifare.interface.mistake import train_mistaken
    from taxifare.ml_logic.data import chunk_of

    champion = registry.get_production(name)
    first_row = chunk_of(month, data).first_row
    usual = interface.evaluate(first_row, name=name, data=data)
    if champion is None or usual is None:
        return None
    on_step(month, "forced")
    bad = train_mistaken(month, model=model, name=name, data=data)
    registry.transition_stage(name, bad, "Production", reason="forced in")
    say(f"v{bad} was forced into Production by hand")
    if live is not None:
        live.wait_for(bad, answers=LIVE_ANSWERS)
    error = interface.evaluate(first_row, name=name, data=data) or math.nan
    reason = f"v{bad} is off by {error:.2f} dollars where v{champion.version} is off by {usual:.2f}"
    on_step(month, "rolled back")
    lifecycle.roll_back(name, reason=reason, only_from=bad)
    say(f"Rolled back to v{champion.version}: {reason}")
    answers, live_error = 0, None
    if live is not None:
        live.wait_for(champion.version)
        answers, live_error = live.count(bad), live.rmse(bad)
    return Incident(
        version=bad,
        back_to=champion.version,
        error=error,
        usual=usual,
        answers=answers,
        live_error=live_error,
        reason=reason,
    )
