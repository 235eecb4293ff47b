"""A backup of a live store is a prefix of what was acknowledged, and whole or nothing."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.manifest import NAME, decode_manifest
from loopline.care.restore import check_backup, restore
from loopline.cli import main
from loopline.errors import ConflictError, IntegrityError, InvalidInputError, NotFoundError
from loopline.journal.drain import StreamDrain
from loopline.journal.journal import Journal
from loopline.journal.stream import Series
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address
from loopline.store.keyring import KEY_FILE

if TYPE_CHECKING:
    from tests.care.conftest import Story

KINDS = ["folder", "backup.tar", "backup.tar.gz"]


def restored(backup: Path, home: Path) -> LocalBackend:
    restore(backup, Address("home", str(home)))
    return LocalBackend(Address("home", str(home)))


def flip_a_bit(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_backed_up_comes_back(story: Story, tmp_path: Path, kind: str) -> None:
    run_id = story.log_run(b"trips of january", b"", points=500)
    report = back_up(story.backend, tmp_path / kind)
    assert (report.counts["runs"], report.counts["metric_points"], report.blobs) == (1, 500, 2)

    checked = check_backup(tmp_path / kind)
    assert checked.blobs == 2
    backend = restored(tmp_path / kind, tmp_path / "new" / ".loopline")
    history = ops.GetMetricHistory(run_id=run_id, key="rmse")
    assert backend.call(history) == story.backend.call(history)
    run = ops.GetRun(run_id=run_id)
    assert backend.call(run) == story.backend.call(run)
    files = backend.call(ops.ListArtifacts(run_id=run_id, recursive=True))
    assert [b"".join(backend.read_blob(each.sha256)) for each in files] == [
        b"trips of january",
        b"",
    ]
    backend.close()


def test_a_second_backup_copies_only_what_is_new(story: Story, tmp_path: Path) -> None:
    story.log_run(b"january", b"february")
    assert back_up(story.backend, tmp_path / "backup").copied == 2
    story.log_run(b"february", b"march")
    second = back_up(story.backend, tmp_path / "backup")
    assert (second.blobs, second.copied) == (3, 1)
    assert len(list((tmp_path / "backup").glob("database-*"))) == 1
    assert check_backup(tmp_path / "backup").counts["runs"] == 2


def test_linked_blobs_take_no_room(story: Story, tmp_path: Path) -> None:
    story.log_run(b"january")
    back_up(story.backend, tmp_path / "backup", link=True)
    (blob,) = (tmp_path / "backup" / "blobs").glob("*/*")
    assert blob.stat().st_nlink == 2
    assert check_backup(tmp_path / "backup").blobs == 1


def test_a_folder_with_something_else_in_it_is_refused(story: Story, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("fares")
    with pytest.raises(InvalidInputError, match=r"chapter1\.tex"):
        back_up(story.backend, tmp_path / "thesis")


def test_a_missing_or_damaged_blob_is_told_and_the_rest_backed_up(
    story: Story, tmp_path: Path
) -> None:
    story.log_run(b"whole", b"damaged", b"gone")
    gone, damaged = story.put(b"gone"), story.put(b"damaged")
    story.blob(gone).unlink()
    flip_a_bit(story.blob(damaged))
    for kind in KINDS:
        report = back_up(story.backend, tmp_path / kind)
        assert report.missing == sorted([gone, damaged])
        assert report.blobs == 1
        assert check_backup(tmp_path / kind).missing == sorted([gone, damaged])


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_flipped_bit_anywhere_in_a_backup_is_found(
    story: Story, tmp_path: Path, kind: str
) -> None:
    story.log_run(b"january" * 100)
    back_up(story.backend, tmp_path / kind)
    if kind == "folder":
        victims = [path for path in (tmp_path / kind).rglob("*") if path.is_file()]
        victims = [path for path in victims if path.stat().st_size]
        assert len(victims) == 3  # Database, blob and manifest.
    else:
        victims = [tmp_path / kind]
    for victim in victims:
        flip_a_bit(victim, at=victim.stat().st_size // 2)
        with pytest.raises(IntegrityError):
            check_backup(tmp_path / kind)
        with pytest.raises(IntegrityError):
            restore(tmp_path / kind, Address("home", str(tmp_path / "new")))
        assert not (tmp_path / "new" / "loopline.db").exists()
        flip_a_bit(victim, at=victim.stat().st_size // 2)
    check_backup(tmp_path / kind)


def test_without_a_backup_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="loopline backup"):
        check_backup(tmp_path / "nothing")
    with pytest.raises(NotFoundError, match="loopline backup"):
        check_backup(tmp_path)


def test_a_home_with_data_is_not_restored_over(story: Story, tmp_path: Path) -> None:
    kept = story.log_run(b"january")
    back_up(story.backend, tmp_path / "backup")
    lost = story.log_run(b"february")
    with pytest.raises(InvalidInputError, match=r"2 runs.*--force"):
        restore(tmp_path / "backup", story.address)
    with pytest.raises(ConflictError, match=r"has .* open"):
        restore(tmp_path / "backup", story.address, force=True)
    assert story.backend.call(ops.GetRun(run_id=lost)).run_id == lost
    story.backend.close()

    report = restore(tmp_path / "backup", story.address, force=True)
    now = LocalBackend(story.address)
    assert now.call(ops.GetRun(run_id=kept)).run_id == kept
    with pytest.raises(NotFoundError):
        now.call(ops.GetRun(run_id=lost))
    now.close()
    aside = LocalBackend(Address("home", report.kept_aside))
    (file,) = aside.call(ops.ListArtifacts(run_id=lost, recursive=True))
    assert b"".join(aside.read_blob(file.sha256)) == b"february"
    aside.close()


def test_a_backup_waits_for_no_collection_and_holds_it_off(story: Story, tmp_path: Path) -> None:
    with (
        story.backend.blobs.hold(alone=True),
        pytest.raises(ConflictError, match="loopline gc"),
    ):
        back_up(story.backend, tmp_path / "backup")
    with (
        story.backend.blobs.hold(alone=False),
        pytest.raises(ConflictError, match="backup"),
        story.backend.blobs.hold(alone=True),
    ):
        pass


BACKING_UP = """
import sys
from pathlib import Path
from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.settings import Address
backend = LocalBackend(Address("home", sys.argv[1]))
def say(what, done, total):
    print(what, done, flush=True)
    sys.stdin.readline()  # Or it may be through before a busy machine comes to kill it.
print("ready", flush=True)
back_up(backend, Path(sys.argv[2]), replace=True, progress=say)
print("through", flush=True)
"""


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_backup_killed_at_any_moment_is_whole_or_no_backup(
    story: Story, tmp_path: Path, kind: str
) -> None:
    seed = random.Random(20240101)  # noqa: S311 - a repeatable choice, no secret
    story.log_run(*(seed.randbytes(200_000) for _ in range(30)), points=2000)
    first = back_up(story.backend, tmp_path / "first" / kind)
    story.log_run(*(seed.randbytes(200_000) for _ in range(30)))
    hits = 0
    for trial in range(6):
        # New targets, and one that has a whole backup already.
        target = tmp_path / ("first" if trial % 2 else f"{trial}") / kind
        target.parent.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", BACKING_UP, str(story.home), str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(seed.randrange(25)):
            process.stdin.write("go on\n")
            process.stdin.flush()
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        hits += "through" not in process.stdout.read()
        process.stdout.close()
        process.wait()
        process.stdin.close()
        if trial % 2 == 0:
            with pytest.raises((IntegrityError, NotFoundError)):
                check_backup(target)
        else:
            assert check_backup(target).taken_ms == first.taken_ms
        assert back_up(story.backend, tmp_path / "again" / kind, replace=True).counts["runs"] == 2
    assert hits == 6
    assert back_up(story.backend, tmp_path / "first" / kind, replace=True).blobs == 60
    assert check_backup(tmp_path / "first" / kind).blobs == 60
    assert not list((tmp_path / "first").rglob("*.part"))


def test_a_living_writers_journal_is_offered_again_to_a_restored_store(
    story: Story, tmp_path: Path
) -> None:
    journal = Journal(story.home / "journal", str(story.home))
    drain = StreamDrain(journal.folder, "facts", journal.meta)
    run_id = "ab" * 16
    journal.facts.append(f.RunStarted(run_id=run_id, experiment="taxifare", start_ms=1))
    for step in range(100):
        journal.facts.append_point(Series(run_id, "rmse"), step, step, step / 2)
    while drain.send_some(story.backend):
        pass
    back_up(story.backend, tmp_path / "backup")
    for step in range(100, 200):
        journal.facts.append_point(Series(run_id, "rmse"), step, step, step / 2)
    while drain.send_some(story.backend):
        pass

    # The store's disk is lost; what it had acknowledged since the backup is in the journal still.
    after = restored(tmp_path / "backup", tmp_path / "new")
    for step in range(200, 210):
        journal.facts.append_point(Series(run_id, "rmse"), step, step, step / 2)
    while drain.send_some(after):
        pass
    history = after.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
    assert history.steps == list(range(210))
    assert after.call(ops.GetRun(run_id=run_id)).metrics["rmse"].count == 210
    after.close()
    journal.close(remove=True)


def test_a_manifest_that_leads_elsewhere_is_not_believed(story: Story, tmp_path: Path) -> None:
    back_up(story.backend, tmp_path / "backup")
    manifest = tmp_path / "backup" / NAME
    document = json.loads(manifest.read_bytes())
    document["database"]["path"] = "../../etc/passwd"
    with pytest.raises(IntegrityError):
        decode_manifest(json.dumps(document).encode(), "there")


def test_a_backup_holds_no_key_and_says_so(
    story: Story,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, new = Path(story.address.text), tmp_path / "new"
    story.backend.call(ops.SetSecret(name="LOT", value="the key of the taxi lot"))
    story.backend.call(
        ops.CreateWebhook(
            name="ci", url="https://203.0.113.7/", events=["model_version.created"],
            secret="hush",  # noqa: S106 - made up
        )
    )  # fmt: skip
    story.log_run(b"january")
    assert back_up(story.backend, tmp_path / "backup").sealed == 2
    key = (home / KEY_FILE).read_bytes()
    for path in (tmp_path / "backup").rglob("*"):
        assert path.is_dir() or key.strip() not in path.read_bytes()
    monkeypatch.setattr(
        sys, "argv", ["loopline", "restore", str(tmp_path / "backup"), "--uri", str(new)]
    )
    with pytest.raises(SystemExit):
        main()
    assert "2 secrets in it cannot be opened" in capsys.readouterr().err
    backend = LocalBackend(Address("home", str(new)))
    with pytest.raises(ConflictError, match="Bring it back"):
        backend.call(ops.GetSecret(name="LOT"))
    (new / KEY_FILE).write_bytes(key)
    assert backend.call(ops.GetSecret(name="LOT")).value == "the key of the taxi lot"
    backend.close()


def test_what_a_restore_keeps_aside_still_opens_its_secrets(story: Story, tmp_path: Path) -> None:
    story.log_run(b"january")
    back_up(story.backend, tmp_path / "backup")
    story.backend.call(ops.SetSecret(name="LOT", value="the key of the taxi lot"))
    story.backend.close()
    report = restore(tmp_path / "backup", story.address, force=True)
    assert report.closed == 0
    aside = LocalBackend(Address("home", report.kept_aside))
    assert aside.call(ops.GetSecret(name="LOT")).value == "the key of the taxi lot"
    aside.close()
