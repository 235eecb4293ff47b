"""Blobs in a folder and in buckets: one promise, and one suite for all."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from loopline.blobs.bucket import BucketBlobs, key_of
from loopline.blobs.local import LocalBlobs
from loopline.blobs.open import open_blobs
from loopline.errors import ConflictError, IntegrityError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loopline.blobs.protocol import Blobs, StillNeeded

MB = 1 << 20
BIG = os.urandom(20 * MB + 17)


def digest_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def needing(*digests: str) -> StillNeeded:
    @contextmanager
    def still_needed(asked: Sequence[str]) -> Iterator[set[str]]:
        yield set(digests) & set(asked)

    return still_needed


def later(blobs: Blobs) -> float:
    """Tell a time at which everything there is is old: stores keep whole seconds."""
    time.sleep(1.1)
    return blobs.now_s()


@pytest.mark.parametrize("data", [b"", b"fares", BIG], ids=["empty", "small", "big"])
def test_what_is_put_is_read_whole_and_in_parts(blobs: Blobs, data: bytes, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(data)
    digest = digest_of(data)
    assert blobs.put_file(source) == (digest, len(data))
    assert blobs.size(digest) == len(data)
    assert b"".join(blobs.read(digest)) == data
    assert b"".join(blobs.read(digest, start=3)) == data[3:]
    with blobs.open(digest) as file:
        assert file.read() == data
    if len(data) > 5:
        assert b"".join(blobs.read(digest, start=MB, end=9 * MB)) == data[MB : 9 * MB]
        assert all(len(chunk) <= 16 * MB for chunk in blobs.read(digest))


def test_the_same_bytes_are_kept_once_from_whichever_side_they_come(
    blobs: Blobs, tmp_path: Path
) -> None:
    file = tmp_path / "received"
    for data in (b"fares", BIG):
        file.write_bytes(data)
        blobs.take(file, digest_of(data))
        assert not file.exists()
        assert blobs.put([data[:3], data[3:]]) == (digest_of(data), len(data))
    assert sorted(each[:2] for each in blobs.listed()) == sorted(
        (digest_of(data), len(data)) for data in (b"fares", BIG)
    )


def test_bytes_that_are_not_those_expected_are_not_kept(blobs: Blobs) -> None:
    with pytest.raises(IntegrityError):
        blobs.put([b"fares"], expected="0" * 64)
    assert list(blobs.listed()) == []


def test_a_blob_that_is_none_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        blobs.size("0" * 64)
    with pytest.raises(NotFoundError):
        blobs.size("0" * 64, keep=True)
    with pytest.raises(NotFoundError):
        list(blobs.read("0" * 64))
    with pytest.raises(NotFoundError):
        blobs.open("0" * 64)
    with pytest.raises(InvalidInputError):
        blobs.size("../../secret")


def test_a_flipped_bit_in_a_bucket_is_reported(bucket: str) -> None:
    blobs = open_blobs(bucket)
    assert isinstance(blobs, BucketBlobs)
    digest, _ = blobs.put([b"fares of January"])
    blobs.objects.put(key_of(digest), b"fares of january")
    with pytest.raises(IntegrityError):
        list(blobs.read(digest))
    with pytest.raises(IntegrityError):
        blobs.open(digest)


def test_the_store_heeds_conditions_and_is_left_as_it_was(blobs: Blobs) -> None:
    assert blobs.check() == []
    assert list(blobs.listed()) == []
    if isinstance(blobs, BucketBlobs):
        assert list(blobs.objects.list("")) == []
        assert blobs.objects.create("a", b"first")
        assert not blobs.objects.create("a", b"second")
        assert b"".join(blobs.objects.read("a") or ()) == b"first"
        blobs.objects.delete(["a", "not there"])
        assert blobs.objects.find("a") is None


def test_what_nobody_needs_is_removed_and_nothing_else(blobs: Blobs) -> None:
    old, needed, asked, again = (blobs.put([data])[0] for data in (b"1", b"2", b"3", b"4"))
    before = later(blobs)
    young, _ = blobs.put([b"5"])
    if isinstance(blobs, LocalBlobs):  # What was put a minute ago is young enough as it is.
        for digest in (asked, again):
            os.utime(blobs.path_of(digest), (before - 100, before - 100))
    assert blobs.size(asked, keep=True) == 1
    blobs.put([b"4"])
    gone = blobs.remove([old, needed, asked, again, young], before, needing(needed))
    assert list(gone) == [(old, 1)]
    assert {each.digest for each in blobs.listed()} == {needed, asked, again, young}
    assert {each.digest for each in blobs.listed() if each.changed_s < before} == {needed}
    with pytest.raises(NotFoundError):
        blobs.size(old, keep=True)
    blobs.renew([needed])
    assert list(blobs.remove([needed], before, needing())) == []


@pytest.mark.parametrize("data", [b"fares", BIG], ids=["small", "big"])
def test_what_is_put_while_it_is_being_removed_is_there_afterwards(
    blobs: Blobs, data: bytes
) -> None:
    digest, _ = blobs.put([data])
    before = later(blobs)
    putting = threading.Thread(target=lambda: blobs.put([data]))

    @contextmanager
    def meanwhile(asked: Sequence[str]) -> Iterator[set[str]]:
        assert list(asked) == [digest]
        putting.start()
        if isinstance(blobs, BucketBlobs):
            putting.join(1.5)
            assert putting.is_alive(), "it must wait for what is about to be deleted"
            with pytest.raises(NotFoundError):
                blobs.size(digest, keep=True)
        yield set()

    list(blobs.remove([digest], before, meanwhile))
    putting.join(30)
    assert not putting.is_alive()
    assert b"".join(blobs.read(digest)) == data


def test_backups_go_side_by_side_and_a_collection_alone(blobs: Blobs) -> None:
    with (
        blobs.hold(alone=False),
        blobs.hold(alone=False),
        pytest.raises(ConflictError, match="at work"),
        blobs.hold(alone=True),
    ):
        pass
    with blobs.hold(alone=True):
        for alone in (True, False):
            with pytest.raises(ConflictError, match="at work"), blobs.hold(alone=alone):
                pass
    with blobs.hold(alone=True):
        pass


def test_stores_leave_notes(blobs: Blobs) -> None:
    assert blobs.noted_stores() == []
    blobs.note_store("postgresql://team/taxi")
    blobs.note_store("postgresql://team/taxi")
    blobs.note_store("postgresql://team/other")
    assert sorted(blobs.noted_stores()) == ["postgresql://team/other", "postgresql://team/taxi"]
    assert blobs.forget_store("postgresql://team/other")
    assert not blobs.forget_store("postgresql://team/other")
    assert list(blobs.listed()) == []


def test_what_was_interrupted_long_ago_is_swept(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = open_blobs(bucket)
    assert isinstance(blobs, BucketBlobs)
    digest, _ = blobs.put([b"fares"])
    left = [f"{place}/left" for place in ("gc", "holds", "tmp", "staging")]
    for key in left:
        blobs.objects.put(key, b"[]")
    blobs.sweep()
    assert {each.key for each in blobs.objects.list("")} == {*left, key_of(digest)}
    for name in ("STRAY_S", "UPLOAD_S", "MARK_S"):
        monkeypatch.setattr(f"loopline.blobs.bucket_gc.{name}", -10.0)
    blobs.sweep()
    assert {each.key for each in blobs.objects.list("")} == {key_of(digest)}


def test_a_collection_that_died_does_not_keep_others_out(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = open_blobs(bucket)
    assert isinstance(blobs, BucketBlobs)
    blobs.objects.put("holds/gc", b"")
    with pytest.raises(ConflictError), blobs.hold(alone=True):
        pass
    monkeypatch.setattr("loopline.blobs.bucket_gc.DEAD_S", -10.0)
    with blobs.hold(alone=True):
        pass


def test_a_store_that_ignores_conditions_is_named(deaf: str) -> None:
    blobs = open_blobs(deaf)
    (fault,) = blobs.check()
    assert deaf in fault
    assert "ignores conditional writes" in fault
    with pytest.raises(ConflictError, match="ignores conditional writes"), blobs.hold(alone=True):
        pass
    digest, _ = blobs.put([b"fares"])
    assert b"".join(blobs.read(digest)) == b"fares"
    with blobs.hold(alone=False):
        pass


@pytest.mark.parametrize("where", ["ftp://host/files", "http://host/files"])
def test_what_is_no_place_is_refused(where: str) -> None:
    with pytest.raises(InvalidInputError, match="LOOPLINE_BLOBS"):
        open_blobs(where)


def test_a_bucket_that_is_not_there_says_so(bucket: str) -> None:
    scheme, _, rest = bucket.partition("://")
    missing = f"{scheme}://nobodys{rest[8:]}"
    with pytest.raises((NotFoundError, InvalidInputError), match="nobodys"):
        open_blobs(missing).check()
