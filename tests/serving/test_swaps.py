"""Another version is promoted: it takes over, and no request fails."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask
from tests.serving.conftest import fare_model
from tests.serving.serving import invoke, predictions, serving

import loopline
import loopline.sklearn
from loopline import registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

TRIP = {"inputs": {"miles": [1.0], "hour": [8]}}
WATCH_S = 0.05


def wait_for(what: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until something holds."""
    until = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def version_of(url: str) -> str | None:
    return invoke(url, TRIP).headers["X-Loopline-Model-Version"]


class Load:
    """Asks all the time, from several threads, and keeps what went wrong."""

    def __init__(self, url: str, threads: int = 4) -> None:
        self.asked = 0
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        while not self._stop.is_set():
            answer = invoke(url, TRIP)
            version = answer.headers["X-Loopline-Model-Version"]
            self.asked += 1
            if answer.status != 200:
                self.wrong.append(answer.text)
            elif predictions(answer) != pytest.approx([int(version) + 2]):
                self.wrong.append(f"version {version} said {answer.text}")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_promoted_version_takes_over_without_a_failed_request(fares: str) -> None:
    with serving(fares, watch_every_s=WATCH_S) as url:
        load = Load(url)
        try:
            for version in (2, 1, 3):
                registry.transition_stage("fares", version, "Production")
                wait_for(lambda version=version: version_of(url) == str(version))  # type: ignore[misc]
        finally:
            load.stop()
        assert not load.wrong
        assert load.asked > 10
        assert 'loopline_swaps_total{model="fares"} 3' in ask(url, "GET", "/metrics").text


@pytest.mark.deep
def test_twenty_promotions_and_rollbacks_under_load_fail_no_request(fares: str) -> None:
    with serving(fares, watch_every_s=WATCH_S) as url:
        load = Load(url)
        try:
            for number in range(20):
                version = 2 + number % 2
                registry.transition_stage("fares", version, "Production")
                wait_for(lambda version=version: version_of(url) == str(version))  # type: ignore[misc]
        finally:
            load.stop()
        assert not load.wrong
        assert load.asked > 500


def test_of_racing_promotions_the_last_one_ends_up_serving(fares: str) -> None:
    with serving(fares, watch_every_s=WATCH_S) as url:
        threads = [
            threading.Thread(
                target=registry.transition_stage, args=("fares", 1 + number % 3, "Production")
            )
            for number in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        champion = registry.get_production("fares")
        assert champion is not None
        last = str(champion.version)
        wait_for(lambda: version_of(url) == last)
        time.sleep(10 * WATCH_S)
        assert version_of(url) == last


def test_nothing_asks_the_registry_once_the_process_has_stopped(fares: str) -> None:
    with serving(fares, watch_every_s=0.001):
        time.sleep(0.1)
    assert not [each for each in threading.enumerate() if "loopline-watch" in each.name]


def test_an_alias_is_followed_as_a_stage_is(fares: str) -> None:
    del fares
    registry.set_alias("fares", "best", 1)
    with serving("models:/fares@best", watch_every_s=WATCH_S) as url:
        registry.set_alias("fares", "best", 3)
        wait_for(lambda: version_of(url) == "3")


def test_a_version_that_cannot_be_loaded_leaves_the_one_before_in_its_place(
    fares: str, tmp_path: Path, example: pd.DataFrame
) -> None:
    loopline.sklearn.save_model(fare_model(9), tmp_path / "model", input_example=example)
    (tmp_path / "model" / "model.skops").write_bytes(b"nothing")
    with loopline.start_run() as run:
        loopline.log_artifacts(tmp_path / "model", "model")
    bad = registry.register_model(f"runs:/{run.info.run_id}/model", "fares")
    shutil.rmtree(tmp_path / "model")
    with serving(fares, watch_every_s=WATCH_S) as url:
        registry.transition_stage("fares", bad.version, "Production")

        def health() -> dict[str, object]:
            told: dict[str, object] = json.loads(ask(url, "GET", "/health").body)
            return told

        wait_for(lambda: health()["status"] == "warning")
        assert f"Version {bad.version} cannot be loaded" in json.dumps(health())
        assert version_of(url) == "1"
        assert 'swap_failures_total{model="fares"} 1' in ask(url, "GET", "/metrics").text

        registry.transition_stage("fares", 2, "Production")
        wait_for(lambda: version_of(url) == "2")
        assert health()["status"] == "ok"
