"""Bundles come apart into what was put in, however their bytes are cut on the way."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.rules.bundle import MOST_PART_BYTES, MOST_PARTS, Unbundler, bundle_head

DIGEST = sha256(b"fare").hexdigest()


@given(
    parts=st.lists(st.binary(max_size=20), max_size=5),
    rest=st.binary(max_size=20),
    cuts=st.lists(st.integers(0, 600), max_size=6),
)
def test_a_bundle_cut_anywhere_gives_its_parts_and_its_rest(
    parts: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    named = [(sha256(part).hexdigest(), part) for part in parts]
    head = bundle_head([(digest, len(part)) for digest, part in named], len(rest))
    whole = head + b"".join(parts) + rest
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    bundle = Unbundler(most_rest_bytes=20)
    came: dict[int, bytes] = {}
    ended = []
    for start, end in pairwise(places):
        for piece in bundle.feed(whole[start:end]):
            came[piece.part] = came.get(piece.part, b"") + piece.data
            if piece.ends:
                ended.append(piece.part)
    assert bundle.is_whole
    assert bundle.parts == [(digest, len(part)) for digest, part in named]
    assert [came[number] for number in range(len(parts))] == parts
    assert came.get(len(parts), b"") == rest
    assert ended[: len(parts)] == list(range(len(parts)))


@given(cut=st.integers(0, 200))
def test_a_bundle_that_ends_early_is_not_whole(cut: int) -> None:
    whole = bundle_head([(DIGEST, 4)], 4) + b"farerest"
    bundle = Unbundler(most_rest_bytes=4)
    list(bundle.feed(whole[:cut]))
    assert bundle.is_whole == (cut >= len(whole))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}", "does not begin like one"),
        (b"LLB1\xff\xff\xff\xff", "at most 1,048,576 bytes"),
        (b"LLB1\x01\0\0\0\xc1", "cannot be read"),
        (bundle_head([("../../etc/passwd", 4)]), "64 hex digits"),
        (bundle_head([(DIGEST, -1)]), "at most 67,108,864 bytes"),
        (bundle_head([(DIGEST, MOST_PART_BYTES + 1)]), "Send the file to /api/v1/blobs"),
        (bundle_head([(DIGEST, 0)] * (MOST_PARTS + 1)), "at most 1,000 parts"),
        (bundle_head([], 5), "at most 4 bytes, not 5"),
        (bundle_head([], 1) + b"ab", "More bytes came"),
        (b"LLB1\x02\0\0\0" + msgspec.msgpack.encode([1]), "cannot be read"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, said: str) -> None:
    bundle = Unbundler(most_rest_bytes=4)
    with pytest.raises(InvalidInputError, match=said):
        list(bundle.feed(data))
