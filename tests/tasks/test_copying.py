"""Copies between folders and buckets of real servers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.blobs.servers import SERVERS

from loopline import Flow
from loopline.blobs.objects import open_objects
from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.tasks import CopyFiles

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Reach a bucket of each kind that is wanted; they come up when they are first asked for."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:

        class Started(dict[str, str]):
            def __missing__(self, kind: str) -> str:
                served = stack.enter_context(SERVERS[kind](tmp_path_factory.mktemp(kind)))
                for name, value in served.environment.items():
                    environment.setenv(name, value)
                self[kind] = f"{served.url}/{kind}-copies"
                return self[kind]

        yield Started()


KINDS = [
    "folder",
    "s3",
    pytest.param("azure", marks=pytest.mark.deep),
    pytest.param("google", marks=pytest.mark.deep),
]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty place of each kind."""
    if request.param == "folder":
        return str(tmp_path / "place")
    buckets: dict[str, str] = request.getfixturevalue("buckets")
    return f"{buckets[request.param]}/{tmp_path.name}"


@pytest.fixture
def months(tmp_path: Path) -> Path:
    folder = tmp_path / "months"
    (folder / "2022" / "q1").mkdir(parents=True)
    (folder / "2022" / "q1" / "january.csv").write_text("fare\n7.0\n")
    (folder / "2022" / "all.csv").write_bytes(b"x" * 3_000_000)
    (folder / "readme").touch()
    return folder


def test_a_folder_goes_there_and_back(months: Path, place: str, tmp_path: Path) -> None:
    with Flow("copy") as flow:
        there = CopyFiles()(str(months), place)
        back = CopyFiles()(place, str(tmp_path / "back"), upstream_tasks=[there])
    state = flow.run()
    assert state.is_successful(), state.message
    names = sorted(path.relative_to(months) for path in months.rglob("*") if path.is_file())
    assert len(state.result[back].result) == len(names) == 3
    for name in names:
        assert (tmp_path / "back" / name).read_bytes() == (months / name).read_bytes()


def test_one_file_gets_the_name_asked_for_or_goes_into_a_folder(
    months: Path, place: str, tmp_path: Path
) -> None:
    january = str(months / "2022" / "q1" / "january.csv")
    (named,) = CopyFiles(january, f"{place}/first.csv").run()
    assert (named.target, named.size_bytes) == (f"{place}/first.csv", 9)
    (inside,) = CopyFiles(f"{place}/first.csv", f"{tmp_path}/inbox/").run()
    assert inside.target == f"{tmp_path}/inbox/first.csv"
    assert Path(inside.target).read_text() == "fare\n7.0\n"


def test_between_two_places(months: Path, place: str) -> None:
    CopyFiles(str(months), f"{place}/one").run()
    copied = CopyFiles(f"{place}/one", f"{place}/two").run()
    names = [file.target.removeprefix(f"{place}/two/") for file in copied]
    assert sorted(names) == ["2022/all.csv", "2022/q1/january.csv", "readme"]
    assert {file.size_bytes for file in copied} == {0, 9, 3_000_000}


def test_what_is_there_is_replaced_kept_or_refused(months: Path, place: str) -> None:
    source = months / "readme"
    source.write_text("one")
    CopyFiles(str(source), f"{place}/").run()
    source.write_text("two")
    (kept,) = CopyFiles(str(source), f"{place}/", if_exists="keep").run()
    assert not kept.is_new
    with pytest.raises(AlreadyExistsError, match="readme is there already"):
        CopyFiles(str(source), f"{place}/", if_exists="refuse").run()
    (replaced,) = CopyFiles(str(source), f"{place}/").run()
    assert replaced.is_new


def test_nothing_at_the_source_is_an_error(place: str) -> None:
    with pytest.raises(NotFoundError, match="There is nothing at"):
        CopyFiles(f"{place}/no-such-month", "anywhere").run()


def test_an_object_cannot_leave_the_folder_it_is_copied_to(
    buckets: dict[str, str], tmp_path: Path
) -> None:
    place = f"{buckets['s3']}/{tmp_path.name}"
    open_objects(place).put("nice\\..\\evil", b"x")
    with pytest.raises(InvalidInputError, match="would lie outside"):
        CopyFiles(place, str(tmp_path / "target")).run()


def test_a_copy_that_breaks_off_leaves_no_part_of_a_file(
    months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.tasks import copying

    def broken(self: object, name: str) -> Iterator[bytes]:
        del self, name
        yield b"half"
        msg = "the network went away"
        raise OSError(msg)

    monkeypatch.setattr(copying._Folder, "chunks", broken)
    with pytest.raises(OSError, match="went away"):
        CopyFiles(str(months / "readme"), f"{tmp_path}/target/").run()
    assert list((tmp_path / "target").iterdir()) == []


def test_a_word_that_means_nothing_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="replace, keep or refuse"):
        CopyFiles("a", "b", if_exists="skip")
