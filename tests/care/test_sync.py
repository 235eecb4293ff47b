"""Journals of dead processes and copied ones reach the store, are counted, and only once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.care.sync import find_journals, send_journals
from loopline.errors import InvalidInputError
from loopline.journal.journal import Journal
from loopline.journal.stream import Series
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

RUN = "ab" * 16


def leave_a_journal(home: Path, run_id: str, points: int) -> Journal:
    """Write a journal as a process does that dies."""
    journal = Journal(home / "journal", "http://login-node:5050")
    journal.facts.append(f.RunStarted(run_id=run_id, experiment="taxifare", start_ms=1))
    for step in range(points):
        journal.facts.append_point(Series(run_id, "rmse"), step, step, step / 2)
    return journal


def history(home: Path, run_id: str) -> list[int]:
    backend = LocalBackend(Address("home", str(home)))
    try:
        assert backend.call(ops.GetRun(run_id=run_id)).status is RunStatus.FAILED
        return backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse")).steps
    finally:
        backend.close()


def test_copies_of_several_machines_are_found_at_any_depth_and_sent(tmp_path: Path) -> None:
    for number in range(3):
        node = tmp_path / "scratch" / f"node-{number}" / "job" / ".loopline"
        leave_a_journal(node, f"{number:032x}", 100 + number).close(remove=False)
    journals = find_journals(tmp_path / "scratch")
    heard: list[str] = []
    report = send_journals(
        journals,
        Address("home", str(tmp_path / "home")),
        progress=lambda what, _done, _total: heard.append(what),
    )
    assert report.kept == {}
    assert [sent.points for sent in report.sent.values()] == [100, 101, 102]
    assert [sent.records for sent in report.sent.values()] == [1, 1, 1]
    assert {"journals", "points"} <= set(heard)
    assert history(tmp_path / "home", f"{2:032x}") == list(range(102))
    assert not any(journal.exists() for journal in journals)


def test_a_copy_made_while_the_owner_lives_adds_what_is_new_the_next_time(tmp_path: Path) -> None:
    journal = leave_a_journal(tmp_path / "cluster", RUN, 50)
    target = Address("home", str(tmp_path / "home"))
    copies = []
    for number in range(3):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "cluster", copy)
        copies.append(send_journals(find_journals(copy), target))
        for step in range(50 * number + 50, 50 * number + 100):
            journal.facts.append_point(Series(RUN, "rmse"), step, step, step / 2)
    journal.close(remove=True)
    assert [sent.points for report in copies for sent in report.sent.values()] == [50, 50, 50]
    assert history(tmp_path / "home", RUN) == list(range(150))


def test_with_keep_the_copy_stays_and_sending_it_again_adds_nothing(tmp_path: Path) -> None:
    leave_a_journal(tmp_path / "stick", RUN, 50).close(remove=False)
    target = Address("home", str(tmp_path / "home"))
    first, second = (
        send_journals(find_journals(tmp_path / "stick"), target, keep=True) for _ in range(2)
    )
    assert [sent.points for sent in first.sent.values()] == [50]
    assert [sent.points for sent in second.sent.values()] == [0]
    assert history(tmp_path / "home", RUN) == list(range(50))


def test_what_cannot_be_sent_is_kept_with_the_reason(tmp_path: Path) -> None:
    leave_a_journal(tmp_path, RUN, 5).close(remove=False)
    (journal,) = find_journals(tmp_path)
    report = send_journals([journal], Address("http", "http://127.0.0.1:9"))
    assert report.sent == {}
    assert "127.0.0.1:9" in report.kept[str(journal)]
    assert journal.exists()


def test_a_folder_without_journals_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No journal"):
        find_journals(tmp_path)
