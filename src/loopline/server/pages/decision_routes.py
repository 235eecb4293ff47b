"""What the form of a decision's page does: a person's yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from loopline.errors import InvalidInputError
from loopline.records.operations import AnswerDecision
from loopline.server.guarded import GuardedRoute
from loopline.server.pages import addresses
from loopline.server.pages.sign_in_routes import read_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["decision_routes"]


def decision_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the route of the form."""

    async def answer(request: Request) -> Response:
        decision_id = request.path_params["decision_id"]
        form = await read_form(request)
        said = form.get("answer", "")
        if said not in {"yes", "no"}:
            msg = "The answer to a decision is yes or no. Open its page again."
            raise InvalidInputError(msg)
        # Whoever asks is named by the gate; a store that asks nobody keeps no name.
        call = AnswerDecision(
            decision_id=decision_id, approve=said == "yes", reason=form.get("reason", "")
        )
        await threads.run(backend.call, call)
        return RedirectResponse(addresses.decision_url(decision_id), 303)

    return [
        GuardedRoute(
            "/decisions/{decision_id}", answer, methods=["POST"], permission="edit", is_page=True
        )
    ]
