"""`loopline diff` shows what differs between two runs or versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.server import story

import loopline

if TYPE_CHECKING:
    import pytest
    from tests.cli.conftest import Shell


def test_two_versions_are_compared_by_their_addresses(shell: Shell) -> None:
    ran = shell("diff", f"models:/{story.MODEL}/1", f"models:/{story.MODEL}/Production")
    assert ran.code == 0
    assert f"{story.MODEL} v1 → {story.MODEL} v" in ran.out
    assert "rmse" in ran.out
    assert "\x1b" not in ran.out


def test_differences_are_told_to_programs(shell: Shell) -> None:
    ran = shell("diff", story.run_id(4), story.run_id(5), "--json")
    assert ran.json["a"]["run_id"] == story.run_id(4)
    assert {"rmse"} <= {one["key"] for one in ran.json["metrics"]}


def test_a_run_differs_from_itself_in_nothing(shell: Shell) -> None:
    assert "Nothing differs." in shell("diff", story.run_id(5), story.run_id(5)).out


def test_what_is_not_there_is_named_with_the_next_step(shell: Shell) -> None:
    ran = shell("diff", "nothing", story.run_id(5))
    assert ran.code == 1
    assert "loopline runs list" in ran.err


def test_differences_show_in_a_notebook(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_URI", str(shell.home))
    found = loopline.diff(story.run_id(4), story.run_id(5))
    shown = found._repr_html_()
    assert shown is not None
    assert "<table" in shown
    assert "Metrics" in shown
