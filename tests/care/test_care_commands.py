"""The commands of care, as people and scripts run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from loopline.records import operations as ops

if TYPE_CHECKING:
    from pathlib import Path

    from tests.care.conftest import Story


def loopline(story: Story, *arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "loopline.cli", *arguments, "--uri", str(story.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def as_json(story: Story, *arguments: str | Path, code: int = 0) -> Any:  # noqa: ANN401
    return json.loads(loopline(story, *arguments, "--json", code=code))


def test_a_story_is_backed_up_checked_and_restored(story: Story, tmp_path: Path) -> None:
    story.log_run(b"january", points=30)
    said = loopline(story, "backup", tmp_path / "b.tar")
    assert "1 run with 30 metric points" in said
    assert "restore --check" in said
    assert "is whole" in loopline(story, "restore", "--check", tmp_path / "b.tar")
    assert "--force" in loopline(story, "restore", tmp_path / "b.tar", code=1)
    story.backend.close()
    report = as_json(story, "restore", tmp_path / "b.tar", "--force")
    assert report["counts"]["metric_points"] == 30
    assert "before-restore" in report["kept_aside"]


def test_a_backup_in_one_file_is_replaced_only_when_told_to(story: Story, tmp_path: Path) -> None:
    story.log_run(b"january", points=30)
    loopline(story, "backup", tmp_path / "b.tar")
    before = (tmp_path / "b.tar").read_bytes()
    story.log_run(b"february", points=30)
    said = loopline(story, "backup", tmp_path / "b.tar", code=1)
    assert f"{tmp_path / 'b.tar'} is there already" in said
    assert "--force" in said
    assert (tmp_path / "b.tar").read_bytes() == before
    assert "2 runs" in loopline(story, "backup", tmp_path / "b.tar", "--force")
    for _ in range(2):  # A folder is brought up to date.
        loopline(story, "backup", tmp_path / "folder")


def test_gc_frees_nothing_in_a_script_that_does_not_say_yes(story: Story) -> None:
    digest = story.put(b"nobody's")
    assert "younger than 24 h" in loopline(story, "gc")
    os.utime(story.blob(digest), (1, 1))
    assert "--yes" in loopline(story, "gc")
    assert as_json(story, "gc")["collected"] is None
    assert story.blob(digest).exists()
    assert "Freed 8 bytes" in loopline(story, "gc", "--yes")
    assert not story.blob(digest).exists()


def test_gc_removes_deleted_runs_only_when_told_to(story: Story) -> None:
    story.backend.call(ops.DeleteRun(run_id=story.log_run(b"january")))
    assert as_json(story, "gc", "--yes")["removed_runs"] == 0
    assert "Removed 1 run" in loopline(story, "gc", "--deleted-for", "0", "--yes")


def test_gc_removes_deleted_logged_models_with_them(story: Story) -> None:
    run_id = story.log_run(b"january")
    model_id = story.log_model(b"model", run_id=run_id)
    story.backend.call(ops.DeleteLoggedModel(model_id=model_id))
    said = loopline(story, "gc", "--deleted-for", "1", "--dry-run")
    assert "0 deleted logged models to remove for good.\n  1 more were deleted too recently" in said
    found = as_json(story, "gc", "--deleted-for", "0", "--dry-run")
    assert found["deleted_runs"]["logged_models"] == [model_id]
    said = loopline(story, "gc", "--deleted-for", "0", "--yes")
    assert "1 deleted logged model to remove for good." in said
    assert "Removed 1 logged model. Files that only they had" in said
    assert story.backend.call(ops.DescribeLoggedModels(model_ids=[model_id])) == []


def test_the_doctor_says_whose_a_missing_file_is(story: Story) -> None:
    story.log_run(b"january")
    model_id = story.log_model(b"model")
    story.blob(story.put(b"model")).unlink()
    assert f"model.bin of logged model {model_id[:10]}" in loopline(story, "doctor", code=1)


def test_the_doctors_code_says_whether_there_are_problems(story: Story) -> None:
    story.log_run(b"january")
    assert "All is well." in loopline(story, "doctor")
    story.blob(story.put(b"january")).unlink()
    told = as_json(story, "doctor", code=1)
    assert told["problems"] == 1
    (finding,) = (each for each in told["findings"] if each["level"] == "problem")
    assert finding["check"] == "blobs.missing"
    assert finding["why"]
    assert finding["next"]
