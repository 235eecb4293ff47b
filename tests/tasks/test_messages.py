"""Messages through Apprise to a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.tasks.conftest import Answer

from loopline import Flow, signals
from loopline.errors import InvalidInputError
from loopline.tasks import SendMessage

if TYPE_CHECKING:
    from tests.tasks.conftest import Server

# Apprise imports it as long as there is one.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_people_are_told_at_every_address(
    server: Server, other_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", other_server.url.removeprefix("http://"))
    first = server.url.replace("http:", "json:")
    with Flow("tell") as flow:
        SendMessage([f"{first}/hook", "json://${HOOK}/other"], title="taxifare")("3 is promoted")
    assert flow.run().is_successful()
    for asked, path in ((server.asked, "/hook"), (other_server.asked, "/other")):
        (request,) = asked
        told = json.loads(request.body)
        assert (request.path.rstrip("/"), told["title"], told["message"]) == (
            path,
            "taxifare",
            "3 is promoted",
        )


def test_a_message_that_arrives_nowhere_fails_the_task(server: Server) -> None:
    server.will_answer(Answer(500))
    send = SendMessage(server.url.replace("http:", "json:"), message="3 is promoted")
    with pytest.raises(signals.FAIL, match="did not reach all of 1"):
        send.run()


def test_an_address_of_no_service_is_told_without_its_password() -> None:
    with pytest.raises(InvalidInputError, match="Address 1") as refused:
        SendMessage("smoke://user:hunter2@hill", message="fire").run()
    assert "hunter2" not in str(refused.value)
