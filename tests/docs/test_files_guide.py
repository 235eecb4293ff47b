"""The guide about files, run as it stands against a server of S3's protocol."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.blobs.servers import s3

from loopline.backend.local import LocalBackend
from loopline.blobs.open import open_blobs
from loopline.records import facts as f
from loopline.records.operations import RecordFacts
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.blobs.servers import Served

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "files.md"
RUN = "ab" * 16


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with s3(tmp_path) as served:
        yield served


def test_files_move_to_a_bucket_by_the_commands_of_the_guide(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".loopline"
    with closing(LocalBackend(Address("home", str(home)))) as backend:
        (tmp_path / "model").write_bytes(b"a model")
        digest, size = backend.put_blob(tmp_path / "model")
        named = f.ArtifactLogged(run_id=RUN, path="m", sha256=digest, size_bytes=size, at_ms=2)
        begun = f.RunStarted(run_id=RUN, experiment="wagoncab taxifare", start_ms=1)
        backend.call(RecordFacts(facts=[begun, named]))

    moving = GUIDE.read_text().partition("## Moving")[2].partition("\n## ")[0]
    commands = re.findall(r"^    ((?:loopline|export) .*)$", moving, re.MULTILINE)
    assert [each.split()[1] for each in commands[:1] + commands[2:]] == [
        "backup", "restore", "doctor",
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(commands)],
        cwd=tmp_path, env={**os.environ, **served.environment, "HOME": str(tmp_path), "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Files are kept in s3://wagoncab/taxifare" in done.stdout

    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    assert b"".join(open_blobs("s3://wagoncab/taxifare").read(digest)) == b"a model"
    assert list(home.glob("before-restore-*"))
