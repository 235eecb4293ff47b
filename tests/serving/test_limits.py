"""Slow models, crowds, and a stop: who waits, who is told to come again, what is finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.running import ask
from tests.serving.serving import invoke, predictions, serving

import loopline
from loopline.serving.engine import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Answer


def at_once(url: str, bodies: list[Any]) -> list[Answer]:
    """Ask all at the same time."""
    found: list[Any] = [None] * len(bodies)

    def one(place: int) -> None:
        found[place] = invoke(url, bodies[place])

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a model that takes as long as it is told, for all rows together."""

    def sleep(model_input: Any) -> Any:  # noqa: ANN401 - a DataFrame
        import time

        time.sleep(float(model_input["seconds"].max()))
        return model_input["seconds"].to_numpy() * 0 + len(model_input)

    folder = tmp_path_factory.mktemp("models") / "sleeper"
    example = {"seconds": [0.0, 0.0]}
    import pandas as pd

    loopline.pyfunc.save_model(folder, sleep, input_example=pd.DataFrame(example))
    return str(folder)


def body(seconds: float) -> dict[str, Any]:
    return {"dataframe_records": [{"seconds": seconds}]}


def test_rows_that_wait_together_are_one_question(sleeper: str) -> None:
    with serving(sleeper, allow_pickle=True, can_batch=True) as url:
        answers = at_once(url, [body(0.3)] * 8)
        sizes = [predictions(answer)[0] for answer in answers]
    assert max(sizes) > 1
    assert all(size <= 8 for size in sizes)


def test_models_of_users_own_python_are_asked_for_each_request_alone(sleeper: str) -> None:
    with serving(sleeper, allow_pickle=True) as url:
        answers = at_once(url, [body(0.05)] * 6)
    assert [predictions(answer) for answer in answers] == [[1.0]] * 6


def test_who_finds_the_queue_full_is_told_when_to_come_again(sleeper: str) -> None:
    with serving(sleeper, allow_pickle=True, limits=Limits(waiting=2)) as url:
        answers = at_once(url, [body(0.3)] * 8)
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        refused = next(answer for answer in answers if answer.status == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert invoke(url, body(0)).status == 200


def test_a_model_that_takes_too_long_is_a_504_and_goes_on(sleeper: str) -> None:
    with serving(sleeper, allow_pickle=True, limits=Limits(timeout_s=0.3)) as url:
        slow, behind = at_once(url, [body(1.2), body(1.2)])
        assert {slow.status, behind.status} == {504}
        while invoke(url, body(0)).status == 504:
            pass
        assert ask(url, "GET", "/ping").status == 200


def test_sigterm_finishes_what_is_in_hand_and_ends_well(sleeper: str) -> None:
    command = [
        sys.executable, "-m", "loopline.cli", "serve", sleeper, "--allow-pickle", "--port", "0",
        "--json",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split('"url"')[1].split('"')[1]
        found: list[Answer] = []
        thread = threading.Thread(target=lambda: found.append(invoke(url, body(1.0))))
        thread.start()
        while "loopline_waiting_requests{" in (text := ask(url, "GET", "/metrics").text):
            if 'model="sleeper"} 1' in text.partition("loopline_waiting_requests{")[2][:60]:
                break
        process.send_signal(signal.SIGTERM)
        thread.join()
        assert predictions(found[0]) == [1.0]
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_no_garbage_is_looked_for_while_a_model_loads_and_it_is_while_it_answers(
    tmp_path: Path,
) -> None:
    class Tells(loopline.pyfunc.PythonModel):
        def load_context(self, context: object) -> None:  # noqa: ARG002 - given to it
            import gc

            self.while_loading = gc.isenabled()

        def predict(self, *_asked: Any, **_more: Any) -> list[bool]:  # noqa: ANN401
            import gc

            return [self.while_loading, gc.isenabled()]

    loopline.pyfunc.save_model(tmp_path / "tells", Tells())
    with serving(str(tmp_path / "tells"), allow_pickle=True) as url:
        assert predictions(invoke(url, {"inputs": [1, 2]})) == [False, True]
