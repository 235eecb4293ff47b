"""What is unpacked stays where it belongs: hostile zips, tars and archives, benign in content."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
import warnings
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.manifest import NAME, Manifest, decode_manifest, encode_manifest
from loopline.care.restore import check_backup, restore
from loopline.errors import IntegrityError, LooplineError
from loopline.flows.shipping import unzipping
from loopline.flows.shipping.unzipping import unzip_sources
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address
from loopline.transfer.archive_read import ArchiveSource
from loopline.transfer.archive_write import write_archive
from loopline.transfer.importer import import_from
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RUN = "a" * 32

# --- zips of sources ------------------------------------------------------------------------------


def zipped(entries: Iterable[tuple[zipfile.ZipInfo | str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle,
        warnings.catch_warnings(action="ignore"),  # Of names that are there twice.
    ):
        for name, data in entries:
            bundle.writestr(name, data)
    return buffer.getvalue()


def entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix, whose modes tell links and devices.
    info.external_attr = (mode | 0o644) << 16
    return info


SLIPPING = [
    "../evil.py", "a/../../evil.py", "a/../evil.py", "./evil.py", "/evil.py", "//evil.py",
    "/tmp/evil.py",  # noqa: S108 - what it must not be written to
    "..\\evil.py", "a\\..\\..\\evil.py", "\\evil.py", "\\\\host\\share\\evil.py", "C:\\evil.py",
    "C:evil.py", "c:/evil.py", "con.py", "CON.py", "a/Aux.x.py", "nul .py", "com1.py", "lpt9.py",
    "a//evil.py", "a/evil.py/", "evil.py\0.txt", "evil\0.py", "a\n/evil.py", "evil\x7f.py", "",
    "..", "evil.so", "evil.pth", "evil.py.", "a.py/../../evil.py", f"{'x' * 5000}.py",
]  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder for what is unpacked, in one where nothing else may appear."""
    inner = tmp_path / "deep" / "down"
    inner.mkdir(parents=True)
    yield inner
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("evil")] == []
    assert not Path("/tmp/evil.py").exists()  # noqa: S108
    assert not Path("/evil.py").exists()


@pytest.mark.parametrize("name", SLIPPING)
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_written(
    outside: Path, name: str
) -> None:
    good = zipfile.ZipInfo("good.py")
    bad = zipfile.ZipInfo("x")
    bad.filename = bad.orig_filename = name  # As no honest program would write it.
    with pytest.raises(IntegrityError, match="Register the flow again"):
        unzip_sources(zipped([(good, b"A = 1"), (bad, b"B = 1")]), outside)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_links_and_devices_are_refused(outside: Path, mode: int) -> None:
    data = zipped([(entry("evil.py", mode), b"/etc/passwd")])
    with pytest.raises(IntegrityError, match="bundle holds"):
        unzip_sources(data, outside)
    assert list(outside.iterdir()) == []


def test_ordinary_files_with_modes_are_written(outside: Path) -> None:
    unzip_sources(zipped([(entry("cab/fares.py", stat.S_IFREG), b"A = 1")]), outside)
    written = outside / "cab" / "fares.py"
    assert written.read_bytes() == b"A = 1"
    assert not written.is_symlink()


@pytest.mark.parametrize(
    "names", [("a.py", "a.py"), ("a.py", "a.py/b.py"), ("a.py/b.py", "a.py")], ids=str
)
def test_a_name_that_is_there_twice_is_refused(outside: Path, names: tuple[str, str]) -> None:
    with pytest.raises(IntegrityError, match="twice"):
        unzip_sources(zipped([(name, b"") for name in names]), outside)


def test_a_link_that_somebody_left_in_the_folder_is_not_followed(outside: Path) -> None:
    (outside / "fares.py").symlink_to(outside.parent / "evil.py")
    with pytest.raises(IntegrityError, match="twice"):
        unzip_sources(zipped([("fares.py", b"A = 1")]), outside)


def test_bombs_of_size_and_of_count_are_refused_unopened(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = zipped([(f"m{n}.py", bytes(30_000_000)) for n in range(8)])
    assert len(bomb) < 1_000_000
    many = zipped([(f"m{n}.py", b"") for n in range(unzipping.MOST_FILES + 1)])
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was opened"))
    for data in (bomb, many):
        with pytest.raises(IntegrityError, match="is over"):
            unzip_sources(data, outside)
    assert list(outside.iterdir()) == []


def test_an_entry_that_is_longer_than_it_says_is_damaged(outside: Path) -> None:
    data = bytearray(zipped([("m.py", bytes(10_000))]))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(signature) + at
        data[start : start + 4] = (10).to_bytes(4, "little")  # Uncompressed size.
    with pytest.raises(IntegrityError, match="no whole zip"):
        unzip_sources(bytes(data), outside)
    assert sum(path.stat().st_size for path in outside.rglob("*")) <= 10


@pytest.mark.parametrize("cut", [0, 1, 21, 40, 60, 80])
def test_a_bundle_that_is_cut_is_said_in_a_sentence(outside: Path, cut: int) -> None:
    with pytest.raises(IntegrityError, match="Register the flow again"):
        unzip_sources(zipped([("m.py", b"A = 1")])[:cut], outside)


@pytest.mark.parametrize("at", [6, 8])  # Flags: encrypted; method: one that nobody knows.
def test_a_bundle_that_is_encrypted_or_packed_otherwise_is_refused(outside: Path, at: int) -> None:
    data = bytearray(zipped([("m.py", b"A = 1")]))
    central = data.index(b"PK\x01\x02")
    data[at], data[central + at + 2] = 0x61, 0x61
    with pytest.raises(IntegrityError, match="no whole zip"):
        unzip_sources(bytes(data), outside)


# --- tars of backups ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup in a folder, with one file."""
    folder = tmp_path_factory.mktemp("backup")
    backend = filled(folder / "home")
    back_up(backend, folder / "backup")
    backend.close()
    return folder / "backup"


def filled(home: Path) -> LocalBackend:
    backend = LocalBackend(Address("home", str(home)))
    home.joinpath("fares.csv").write_bytes(b"fares")
    digest, size = backend.put_blob(home / "fares.csv")
    logged = f.ArtifactLogged(run_id=RUN, path="fares.csv", sha256=digest, size_bytes=size, at_ms=1)
    started = f.RunStarted(run_id=RUN, experiment="taxifare", start_ms=1)
    backend.call(ops.RecordFacts(facts=[started, logged]))
    return backend


def packed(backup: Path, target: Path, also: Callable[[tarfile.TarFile], None]) -> Path:
    """Pack a backup into a tar file, with hostile members before the honest ones."""
    with tarfile.open(target, "w") as tar:
        also(tar)
        for path in sorted(backup.rglob("*"), key=lambda path: path.name == NAME):
            if path.is_file():
                tar.add(path, str(path.relative_to(backup)))
    return target


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
    return info


HOSTILE = [
    *(member(name) for name in ("../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil",  # noqa: S108
                                "blobs/../../evil", "con", "evil\nname", "loopline.db",
                                "secret.key", "blobs/zz/evil")),
    *(member("evil", kind, link) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
      for link in ("../../evil", "/etc/passwd")),
    *(member("evil", kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)),
    member("blobs", tarfile.SYMTYPE, "/tmp"),  # noqa: S108
]  # fmt: skip


NOT_WHOLE = r"not what was backed up|no whole tar"


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda info: f"{info.type!r}{info.name}")
def test_only_what_the_manifest_names_is_taken_out_of_a_tar(
    backup: Path, tmp_path: Path, hostile: tarfile.TarInfo
) -> None:
    honest, with_evil = tmp_path / "honest", tmp_path / "evil-is-in-it"
    honest.mkdir()
    with_evil.mkdir()
    restore(backup, Address("home", str(honest / "home")))
    data = io.BytesIO(b"evil") if hostile.isreg() else None
    tar = packed(backup, tmp_path / "backup.tar", lambda tar: tar.addfile(hostile, data))
    restore(tar, Address("home", str(with_evil / "home")))
    assert everything(with_evil) == everything(honest)
    assert not any(path.is_symlink() for path in with_evil.rglob("*"))
    assert not Path("/tmp/evil").exists()  # noqa: S108


@pytest.mark.parametrize("kind", ["link", "hardlink", "device", "pipe", "holes", "longer", "other"])
def test_what_stands_in_the_place_of_a_file_is_not_taken_for_it(
    backup: Path, tmp_path: Path, kind: str
) -> None:
    ((digest, size),) = decode_manifest((backup / NAME).read_bytes(), backup).blobs
    name = f"blobs/{digest[:2]}/{digest}"
    kinds = {"link": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE,
             "pipe": tarfile.FIFOTYPE, "holes": tarfile.GNUTYPE_SPARSE}  # fmt: skip
    target = tmp_path / "backup.tar"
    with tarfile.open(target, "w") as tar:
        for path in sorted(backup.rglob("*"), key=lambda path: path.name == NAME):
            if path.is_file() and path.name != digest:
                tar.add(path, str(path.relative_to(backup)))
            elif path.name == digest:
                info = member(name, kinds.get(kind, tarfile.REGTYPE), str(backup / name))
                info.size = {"longer": size + 1, "other": size}.get(kind, 0)
                tar.addfile(info, io.BytesIO(b"fears!"))
    home = tmp_path / "home"
    with pytest.raises(IntegrityError, match=NOT_WHOLE):
        check_backup(target)
    with pytest.raises(IntegrityError, match=NOT_WHOLE):
        restore(target, Address("home", str(home)))
    assert not (home / "loopline.db").exists()


def test_a_manifest_cannot_name_a_place(backup: Path, tmp_path: Path) -> None:
    manifest = decode_manifest((backup / NAME).read_bytes(), backup)
    said = json.loads(encode_manifest(manifest))
    for path in ("../evil.db", "/tmp/evil.db", "database-1.db/../../evil"):  # noqa: S108
        said["database"]["path"] = path
        # Its own hash is right: who makes a backup can make that, too.
        said["digest"] = ""
        renamed = msgspec.convert(said, Manifest)
        with pytest.raises(IntegrityError, match="own hash"):
            decode_manifest(encode_manifest(renamed), tmp_path)
    said["database"]["path"] = manifest.database.path
    said["blobs"] = [["../../evil", 4]]
    with pytest.raises(IntegrityError, match="own hash"):
        decode_manifest(encode_manifest(msgspec.convert(said, Manifest)), tmp_path)


def test_a_pipe_in_a_backups_folder_is_a_missing_file(backup: Path, tmp_path: Path) -> None:
    shutil.copytree(backup, tmp_path / "backup")
    (blob,) = (tmp_path / "backup" / "blobs").glob("*/*")
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(IntegrityError, match="is missing"):
        check_backup(tmp_path / "backup")


# --- archives of an export ------------------------------------------------------------------------


OUTSIDE = ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil", "e\0"]  # noqa: S108


@pytest.mark.parametrize("path", OUTSIDE)
def test_an_archive_names_no_file_outside_of_its_run(tmp_path: Path, path: str) -> None:
    source = filled(tmp_path / "source")
    folder = tmp_path / "archive"
    write_archive(Selection(source), source, folder)
    source.close()
    lines = (folder / "runs.jsonl").read_text().replace('"fares.csv"', json.dumps(path))
    assert json.dumps(path) in lines
    (folder / "runs.jsonl").write_text(lines)
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"]:
        if file["path"] == "runs.jsonl":
            file["sha256"] = sha256(lines.encode()).hexdigest()
            file["size_bytes"] = len(lines.encode())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    target = LocalBackend(Address("home", str(tmp_path / "target")))
    try:
        report = import_from(ArchiveSource(folder), target)
        kept = target.call(ops.ListArtifacts(run_id=RUN, recursive=True))
        assert report is not None
        assert kept == []
    except LooplineError:
        pass  # Refused as a whole is as well.
    finally:
        target.close()
    assert not Path("/tmp/evil").exists()  # noqa: S108
