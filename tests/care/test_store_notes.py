"""A store that keeps its blobs elsewhere leaves one note there, whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from loopline.blobs.stores import note_store, noted_stores

if TYPE_CHECKING:
    from pathlib import Path


def test_many_threads_may_leave_the_same_note_at_once(tmp_path: Path) -> None:
    for number in range(50):
        root = tmp_path / str(number)
        with ThreadPoolExecutor(8) as pool:
            left = [pool.submit(note_store, root, "postgresql://team/taxi") for _ in range(8)]
        assert [each.result() for each in left] == [None] * 8
        assert noted_stores(root) == ["postgresql://team/taxi"]
