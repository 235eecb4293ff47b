"""Recorded code is put back as far as it was recorded."""

from __future__ import annotations

from loopline.reproduce.code import without_binaries

TEXT = """diff --git a/train.py b/train.py
index 1..2 100644
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-rate = 1
+rate = "Binary files differ"
"""
BINARY = """diff --git a/model.bin b/model.bin
index 1..2 100644
Binary files a/model.bin and b/model.bin differ
"""
GONE = """diff --git a/old.bin b/old.bin
deleted file mode 100644
index 1..0
Binary files a/old.bin and /dev/null differ
"""


def test_files_that_are_no_text_are_named_and_the_rest_is_applied() -> None:
    assert without_binaries(BINARY + TEXT + GONE) == (TEXT, ["model.bin", "old.bin"])
    assert without_binaries(TEXT) == (TEXT, [])
    assert without_binaries(BINARY) == ("", ["model.bin"])
