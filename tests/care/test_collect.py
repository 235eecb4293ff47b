"""What nobody needs is freed, and nothing else, whatever others do at that moment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from loopline.backend.local import LocalBackend
from loopline.blobs.stores import noted_stores
from loopline.care import references
from loopline.care.backup import back_up
from loopline.care.collect import collect_garbage, find_garbage, forget
from loopline.care.purge import find_purgeable, purge_logged_models, purge_runs
from loopline.care.restore import restore
from loopline.errors import ConflictError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.records.flows import FlowCode, FlowGraph, StateKind
from loopline.settings import Address
from loopline.store import schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.care.conftest import Story

HOUR_S = 3600.0
DAY_MS = 24 * 3600 * 1000


def age(story: Story, *digests: str, days: float = 2.0) -> None:
    """Let blobs look as if nobody had asked for them for days."""
    then = time.time() - days * 24 * HOUR_S
    for digest in digests:
        os.utime(story.blob(digest), (then, then))


def collect(story: Story) -> list[str]:
    garbage = find_garbage(story.backend, grace_s=HOUR_S)
    collect_garbage(story.backend, garbage)
    return [digest for digest, _ in garbage.blobs]


def test_every_column_that_holds_a_hash_of_bytes_counts_as_a_reference() -> None:
    known = {str(column) for column in (*references.COLUMNS, *references.DOCUMENTS)}
    suspicious = ("sha256", "blob", "result", "code", "bundle")
    # Of secrets: tokens, sessions and links.
    secrets = {"ll_token.sha256", "ll_session.sha256", "ll_link.sha256"}
    for table in schema.metadata.tables.values():
        for column in table.columns:
            if str(column) not in secrets and any(word in column.name for word in suspicious):
                assert str(column) in known
    # Of digests: those of data versions and models are no blobs, but hashes of several.
    digests = {
        str(c) for t in schema.metadata.tables.values() for c in t.columns if "digest" in c.name
    }
    assert digests == {
        "ll_dataset.digest",
        "ll_logged_model_metric.dataset_digest",
        "ll_model_version.digest",
    }


def test_only_old_blobs_that_nothing_names_are_freed(story: Story) -> None:
    story.log_run(b"artifact")
    named, old, young = story.put(b"artifact"), story.put(b"old"), story.put(b"young")
    age(story, named, old)
    garbage = find_garbage(story.backend, grace_s=HOUR_S)
    assert [digest for digest, _ in garbage.blobs] == [old]
    assert (garbage.needed, garbage.young, garbage.size_bytes) == (1, 1, 3)
    collected = collect_garbage(story.backend, garbage)
    assert (collected.blobs, collected.freed_bytes, collected.kept) == (1, 3, 0)
    assert [story.blob(each).exists() for each in (named, old, young)] == [True, False, True]


def test_results_code_models_and_refused_facts_keep_their_blobs(story: Story) -> None:
    contents = (b"result", b"code", b"bundle", b"refused", b"model")
    kept = {data: story.put(data) for data in contents}
    run_id = story.log_run(b"model")
    story.backend.call(ops.RegisterVersion(name="wagoncab", run_id=run_id, artifact_path="trips"))
    story.backend.call(ops.DeleteRun(run_id=run_id))
    story.backend.call(
        ops.RegisterFlow(
            project="wagoncab",
            name="retrain",
            fingerprint="1",
            graph=FlowGraph(),
            code=FlowCode(kind="pickle", blob=kept[b"code"], bundle=kept[b"bundle"]),
        )
    )
    story.send(
        f.FlowRunState(flow_run_id="ab" * 16, state=StateKind.RUNNING, at_ms=1, flow_name="x"),
        f.TaskRunState(
            flow_run_id="ab" * 16,
            task_slug="train-1",
            state=StateKind.SUCCESS,
            at_ms=2,
            result=kept[b"result"],
        ),
    )
    refused = f.ArtifactLogged(
        run_id=run_id, path="late.txt", sha256=kept[b"refused"], size_bytes=7, at_ms=1
    )
    receipt = story.backend.send(f.Batch(writer="cd" * 16, start=0, end=1, facts=[refused]))
    assert receipt.refused == 1
    age(story, *kept.values())
    assert collect(story) == []


def test_a_blob_that_is_put_or_asked_for_again_is_young_again(story: Story) -> None:
    put_again, asked_for = story.put(b"put again"), story.put(b"asked for")
    age(story, put_again, asked_for)
    garbage = find_garbage(story.backend, grace_s=HOUR_S)
    assert len(garbage.blobs) == 2
    story.put(b"put again")
    assert (
        story.backend.blob_size(asked_for, keep=True) == 9
    )  # As a client does that then need not send it.
    collected = collect_garbage(story.backend, garbage)
    assert (collected.blobs, collected.kept) == (0, 2)
    assert story.blob(put_again).exists()
    assert story.blob(asked_for).exists()


def test_a_blob_that_is_named_after_it_was_found_survives(story: Story) -> None:
    digest = story.put(b"fares")
    age(story, digest)
    garbage = find_garbage(story.backend, grace_s=HOUR_S)
    story.send(
        f.RunStarted(run_id="ab" * 16, experiment="x", start_ms=1),
        f.ArtifactLogged(run_id="ab" * 16, path="a", sha256=digest, size_bytes=5, at_ms=1),
    )
    age(story, digest)
    assert collect_garbage(story.backend, garbage).kept == 1
    assert story.blob(digest).exists()


def test_what_an_interrupted_collection_moved_away_comes_back(story: Story) -> None:
    digest = story.put(b"fares")
    (story.files / "tmp").mkdir(exist_ok=True)
    story.blob(digest).rename(story.files / "tmp" / f"gc-{digest}")
    find_garbage(story.backend, grace_s=HOUR_S)
    assert story.blob(digest).exists()


def test_nothing_is_collected_while_a_backup_copies(story: Story) -> None:
    garbage = find_garbage(story.backend, grace_s=HOUR_S)
    with (
        story.backend.blobs.hold(alone=False),
        pytest.raises(ConflictError, match="backup"),
    ):
        collect_garbage(story.backend, garbage)


def test_half_made_files_go_after_an_hour(story: Story) -> None:
    then = time.time() - 2 * HOUR_S
    left = [
        story.files / "tmp" / "tmpabc",
        story.home / "staging" / "upload-1",
        story.home / "restoring-loopline.db",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
        os.utime(path, (then, then))
    fresh = story.home / "staging" / "upload-2"
    fresh.write_bytes(b"still coming")
    half_made = story.home / "journal" / ".0123"
    half_made.mkdir(parents=True)
    os.utime(half_made, (then, then))
    collect(story)
    assert not any(path.exists() for path in (*left, half_made))
    assert fresh.exists()


def test_stores_that_share_blobs_are_asked_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("LOOPLINE_BLOBS", str(shared))
    file = tmp_path / "trips.parquet"
    file.write_bytes(b"trips")
    backends = [LocalBackend(Address("home", str(tmp_path / name))) for name in ("one", "two")]
    digests = {backend.put_blob(file)[0] for backend in backends}
    (digest,) = digests
    assert len(noted_stores(shared)) == 2
    run_id = "ab" * 16
    backends[0].send(
        f.Batch(
            writer="cd" * 16,
            start=0,
            end=1,
            facts=[
                f.RunStarted(run_id=run_id, experiment="x", start_ms=1),
                f.ArtifactLogged(run_id=run_id, path="a", sha256=digest, size_bytes=5, at_ms=1),
            ],
        )
    )
    os.utime(shared / digest[:2] / digest, (1, 1))
    assert find_garbage(backends[1], grace_s=HOUR_S).blobs == []
    backends[0].close()
    (tmp_path / "one").rename(tmp_path / "unmounted")
    with pytest.raises(ConflictError, match="--forget"):
        find_garbage(backends[1], grace_s=HOUR_S)
    forget(backends[1], str(tmp_path / "one" / "loopline.db"))
    assert [each for each, _ in find_garbage(backends[1], grace_s=HOUR_S).blobs] == [digest]
    backends[1].close()


def test_what_a_restore_kept_aside_keeps_its_blobs_until_it_is_deleted(
    story: Story, tmp_path: Path
) -> None:
    back_up(story.backend, tmp_path / "backup")
    story.log_run(b"only there")
    digest = story.put(b"only there")
    story.backend.close()
    aside = restore(tmp_path / "backup", story.address, force=True).kept_aside
    story.backend = LocalBackend(story.address)
    age(story, digest)
    assert collect(story) == []
    (tmp_path / "home" / ".loopline" / aside / "loopline.db").unlink()
    assert collect(story) == [digest]


def test_a_deleted_model_and_version_let_go_of_their_runs_and_blobs(story: Story) -> None:
    of_model, of_version, of_copy = (story.log_run(data) for data in (b"1", b"2", b"3"))
    blobs = [story.put(data) for data in (b"1", b"2", b"3")]
    for name, run_id in (("gone", of_model), ("m", of_version), ("m", of_copy)):
        call = ops.RegisterVersion(name=name, run_id=run_id, artifact_path="trips")
        story.backend.call(call)
        story.backend.call(ops.DeleteRun(run_id=run_id))
    story.backend.call(ops.CopyVersion(name="m", version=2, to="kept"))
    story.backend.call(ops.DeleteModel(name="gone"))
    story.backend.call(ops.DeleteVersion(name="m", version=1))
    story.backend.call(ops.DeleteModel(name="m"))
    with story.backend.store.read() as connection:
        found = find_purgeable(connection, story.backend.store.clock() + DAY_MS, 0)
    assert (set(found.runs), found.of_models) == ({of_model, of_version}, 1)
    purge_runs(story.backend.store, found.runs)
    age(story, *blobs)
    assert sorted(collect(story)) == sorted(blobs[:2])


def test_runs_deleted_long_ago_are_removed_for_good(story: Story) -> None:
    old, recent, of_model, restored = (story.log_run(b"x", points=5) for _ in range(4))
    kept = story.log_run(b"y")
    story.backend.call(ops.RegisterVersion(name="m", run_id=of_model, artifact_path="trips"))
    now_ms = story.backend.store.clock()
    story.backend.store.clock = lambda: now_ms - 40 * DAY_MS
    for run_id in (old, of_model, restored):
        story.backend.call(ops.DeleteRun(run_id=run_id))
    story.backend.store.clock = lambda: now_ms
    story.backend.call(ops.DeleteRun(run_id=recent))
    with story.backend.store.read() as connection:
        found = find_purgeable(connection, now_ms, 30)
    assert (set(found.runs), found.recent, found.of_models) == ({old, restored}, 1, 1)
    story.backend.call(ops.RestoreRun(run_id=restored))

    removed, named = purge_runs(story.backend.store, found.runs)
    assert (removed, len(named)) == (1, 1)
    with pytest.raises(NotFoundError):
        story.backend.call(ops.GetRun(run_id=old))
    for run_id in (recent, of_model, restored, kept):
        assert story.backend.call(ops.GetRun(run_id=run_id)).metrics["rmse"].count
    with story.backend.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    reasons = [each.reason for each in story.backend.call(ops.ListRunEvents(run_id=restored))]
    assert reasons[-2:] == ["deleted", "restored"]


def test_logged_models_deleted_long_ago_are_removed_for_good(story: Story) -> None:
    run_id = story.log_run(b"x")
    old, recent, back, kept = (
        story.log_model(data, run_id=run_id) for data in (b"old", b"recent", b"back", b"kept")
    )
    only_its = story.put(b"old")
    call = ops.RegisterVersion(name="m", logged_model_id=old, allow_empty=True)
    story.backend.call(call)
    now_ms = story.backend.store.clock()
    story.backend.store.clock = lambda: now_ms - 40 * DAY_MS
    for model_id in (old, back):
        story.backend.call(ops.DeleteLoggedModel(model_id=model_id))
    story.backend.store.clock = lambda: now_ms
    story.backend.call(ops.DeleteLoggedModel(model_id=recent))
    with story.backend.store.read() as connection:
        found = find_purgeable(connection, now_ms, 30)
    assert (set(found.logged_models), found.recent_models) == ({old, back}, 1)
    (described,) = story.backend.call(ops.DescribeLoggedModels(model_ids=[back]))
    again = replace(described.model, lifecycle=Lifecycle.ACTIVE)
    story.backend.call(ops.ImportLoggedModel(model=again, update=True))

    removed, named = purge_logged_models(story.backend.store, found.logged_models)
    assert (removed, named) == (1, {only_its})
    left = story.backend.call(ops.DescribeLoggedModels(model_ids=[old, recent, back, kept]))
    assert [each.model.model_id for each in left] == [recent, back, kept]
    links = story.backend.call(ops.ListRunModels(run_id=run_id))
    assert {link.model_id for link in links} == {recent, back, kept}
    with story.backend.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    age(story, only_its)
    assert collect(story) == []  # The version that was made from it has it.
    story.backend.call(ops.DeleteModel(name="m"))
    assert collect(story) == [only_its]


#: Logs files whose bytes others log, too, each in a run of its own.
WRITING = """
import sys
import loopline
from loopline.backend.recorder import get_recorder
loopline.set_tracking_uri(sys.argv[1])
loopline.set_experiment("wagoncab taxifare")
for number in range(30):
    with loopline.start_run() as run:
        for name in range(4):
            loopline.log_text(f"fares {name}", f"{name}.txt")
    get_recorder().flush()
print(get_recorder().backend.address, flush=True)
"""


def test_a_collection_never_loses_bytes_that_somebody_logs_meanwhile(story: Story) -> None:
    digests = [story.put(f"fares {name}".encode()) for name in range(4)]
    age(story, *digests)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITING, str(story.home)],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LOOPLINE_NO_CAPTURE": "1"},
        )
        for _ in range(2)
    ]
    collections = freed = 0
    while any(writer.poll() is None for writer in writers):
        # What no run names yet grows old at once, so that each round has something to collect.
        extra = story.put(f"nobody's {collections}".encode())
        age(story, extra)
        garbage = find_garbage(story.backend, grace_s=HOUR_S)
        freed += collect_garbage(story.backend, garbage).blobs
        collections += 1
        time.sleep(0.01)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert freed >= collections > 5
    runs = story.backend.call(ops.SearchRuns(max_results=100)).runs
    assert len(runs) == 60
    for run in runs:
        files = story.backend.call(ops.ListArtifacts(run_id=run.run_id))
        assert len(files) == 4
        for file in files:
            assert b"".join(story.backend.read_blob(file.sha256)).startswith(b"fares")


def knows(story: Story, digest: str) -> bool:
    """Ask for a blob as a client does that spares itself the upload."""
    try:
        return story.backend.blob_size(digest, keep=True) > 0
    except NotFoundError:
        return False


@pytest.mark.parametrize("client", ["puts", "asks first"])
def test_a_race_for_one_blob_is_won_by_whoever_needs_it(story: Story, client: str) -> None:
    lost = freed = 0
    for number in range(60):
        data = f"fares of {number}".encode()
        digest = story.put(data)
        age(story, digest)
        garbage = find_garbage(story.backend, grace_s=HOUR_S)
        together = threading.Barrier(2)

        def log(data: bytes = data, digest: str = digest) -> None:
            together.wait()  # noqa: B023 - of this round
            if client == "puts" or not knows(story, digest):
                story.put(data)
            story.send(
                f.RunStarted(run_id="ab" * 16, experiment="x", start_ms=1),
                f.ArtifactLogged(
                    run_id="ab" * 16, path=digest, sha256=digest, size_bytes=1, at_ms=1
                ),
            )

        thread = threading.Thread(target=log)
        thread.start()
        together.wait()
        freed += collect_garbage(story.backend, garbage).blobs
        thread.join()
        lost += not story.blob(digest).exists()
    print(f"{freed} of 60 freed before they were put again, {lost} lost")
    assert lost == 0
