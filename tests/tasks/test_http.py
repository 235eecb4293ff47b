"""Requests to a real server that is in trouble, redirects, and is slow."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from tests.tasks.conftest import Answer

from loopline import Flow, signals
from loopline.errors import InvalidInputError
from loopline.tasks import HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from tests.tasks.conftest import Server


def test_json_comes_back_as_what_it_says(server: Server) -> None:
    server.will_answer(Answer(body=b'{"rmse": 3.9}'))
    with Flow("ask") as flow:
        score = HttpRequest(server.url + "/score", params={"month": "2022-01"})()
    state = flow.run()
    assert state.result[score].result == {"rmse": 3.9}
    assert server.asked[0].path == "/score?month=2022-01"


def test_other_answers_come_back_as_text_in_their_character_set(server: Server) -> None:
    server.will_answer(Answer(body="Zürich".encode("latin-1"), kind="text/plain; charset=latin-1"))
    assert HttpRequest(server.url).run() == "Zürich"
    assert HttpRequest(server.url, returns="bytes").run() == "Zürich".encode("latin-1")


def test_a_body_is_sent_as_json_form_or_bytes(server: Server) -> None:
    HttpRequest(server.url, "post", json={"fare": 7.5}).run()
    HttpRequest(server.url, "post").run(data={"zone": "Harlem", "n": 2})
    HttpRequest(server.url, "put", data=b"\0\1").run()
    first, second, third = server.asked
    assert (first.headers["content-type"], json.loads(first.body)) == (
        "application/json",
        {"fare": 7.5},
    )
    assert (second.method, second.body) == ("POST", b"zone=Harlem&n=2")
    assert (third.method, third.body) == ("PUT", b"\0\1")
    with pytest.raises(InvalidInputError, match="one body"):
        HttpRequest(server.url, "post", json={}, data="x").run()


def test_a_server_in_trouble_is_asked_again(server: Server) -> None:
    server.will_answer(Answer(503), Answer(500), Answer(body=b"[1]"))
    assert HttpRequest(server.url, pause_s=0.01).run() == [1]
    assert len(server.asked) == 3


def test_the_last_try_that_fails_fails_the_task_with_the_answer(server: Server) -> None:
    server.will_answer(Answer(502, b"bad gateway", "text/plain"))
    with pytest.raises(signals.FAIL, match="status 502: bad gateway") as failed:
        HttpRequest(server.url, tries=2, pause_s=0.01).run()
    assert isinstance(failed.value.result, HttpAnswer)
    assert failed.value.result.status == 502
    assert len(server.asked) == 2


def test_a_mistake_is_not_repeated(server: Server) -> None:
    server.will_answer(Answer(404, b"no such month", "text/plain"))
    with pytest.raises(signals.FAIL, match="no such month"):
        HttpRequest(server.url).run()
    assert len(server.asked) == 1


def test_what_changes_something_is_not_said_twice_unless_allowed(server: Server) -> None:
    server.will_answer(Answer(503), Answer(body=b'"ok"'))
    with pytest.raises(signals.FAIL):
        HttpRequest(server.url, "POST", pause_s=0.01).run()
    server.will_answer(Answer(503), Answer(body=b'"ok"'))
    assert HttpRequest(server.url, "POST", pause_s=0.01, repeatable=True).run() == "ok"


def test_the_server_may_say_when_to_ask_again(server: Server) -> None:
    server.will_answer(
        Answer(429, headers=(("Retry-After", "0.01"),)),
        Answer(429, headers=(("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),)),
        Answer(body=b"1"),
    )
    assert HttpRequest(server.url, pause_s=0.01).run() == 1


def test_a_slow_server_is_given_up_and_asked_again(server: Server) -> None:
    server.will_answer(Answer(after_s=30), Answer(body=b"1"))
    assert HttpRequest(server.url, timeout_s=0.3, pause_s=0.01).run() == 1


def test_a_server_that_is_not_there_is_an_error_even_for_what_is_said_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        HttpRequest(f"http://127.0.0.1:{port}", "POST", tries=2, pause_s=0.01).run()


def test_the_whole_answer_is_given_whatever_its_status(server: Server) -> None:
    server.will_answer(Answer(418, b"short", "text/plain", (("X-Pot", "tea"),)))
    answer = HttpRequest(server.url, returns="answer").run()
    assert isinstance(answer, HttpAnswer)
    assert (answer.status, answer.text, answer.headers["x-pot"]) == (418, "short", "tea")


def test_secrets_come_from_the_environment_and_go_to_the_first_host_alone(
    server: Server, other_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.will_answer(Answer(302, headers=(("Location", other_server.url + "/there"),)))
    monkeypatch.setenv("HOOK_TOKEN", "abc123")
    HttpRequest(server.url, headers={"Authorization": "Bearer ${HOOK_TOKEN}"}).run()
    assert server.asked[0].headers["authorization"] == "Bearer abc123"
    assert other_server.asked[0].path == "/there"
    assert "authorization" not in other_server.asked[0].headers


def test_a_variable_that_is_not_set_is_named(server: Server) -> None:
    with pytest.raises(InvalidInputError, match="NO_SUCH_TOKEN is not set"):
        HttpRequest(server.url, headers={"Authorization": "${NO_SUCH_TOKEN}"}).run()


def test_files_are_not_read_by_an_address() -> None:
    with pytest.raises(InvalidInputError, match="no address of HTTP"):
        HttpRequest("file:///etc/passwd").run()


def test_a_wrong_kind_of_answer_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="Use json, text"):
        HttpRequest("http://localhost", returns="xml")
