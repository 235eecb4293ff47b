"""What a disk may hold after the power went: the system calls of a real process, replayed.

``record`` runs a program under strace and reads what it asked of the files below a folder.
``Disk`` replays that up to any call and then cuts the power: what was synced is there; of what
was written since, each sector of 512 bytes may be there or not; of what was created, renamed or
removed since its folder was synced, the first few may have happened or not.

Harsher than journaling file systems are: those keep more, never less.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

__all__ = ["Call", "Disk", "can_trace", "record"]

SECTOR = 512
_TRACED = (
    "openat,open,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,ftruncate,"
    "truncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,link,linkat"
)
_LINE = re.compile(r"(?P<name>\w+)\((?P<given>.*)\)\s+= (?P<answer>-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_ABOUT = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded.

    Attributes:
        numbers: Its arguments that are numbers, in order.
        texts: Its arguments that are paths or bytes, in order.
        flags: All of it, to look for names such as ``O_CREAT``.
        answer: What it returned.
    """

    name: str
    numbers: tuple[int, ...]
    texts: tuple[bytes, ...]
    flags: str
    answer: int


def can_trace() -> str:
    """Tell why processes cannot be traced here; empty when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed (tools/system-packages.sh installs it)"
    tried = subprocess.run(
        ["strace", "-o", os.devnull, "true"],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return tried.stderr.strip() if tried.returncode else ""


def record(command: Sequence[str | Path], trace: Path, environment: dict[str, str]) -> list[Call]:
    """Run a program of one thread and list its calls that change files."""
    subprocess.run(
        ["strace", "-o", trace, "-xx", "-s", "100000000", "-e", f"trace={_TRACED}", *command],  # noqa: S607
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return list(_calls(trace))


def _calls(trace: Path) -> Iterator[Call]:
    with trace.open() as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None or int(found["answer"]) < 0:
                continue
            given = found["given"]
            texts = tuple(
                bytes.fromhex(text.replace("\\x", "")) for text, _ in _TEXT.findall(given)
            )
            rest = _ABOUT.sub("", _TEXT.sub("T", given))
            numbers = tuple(int(part) for part in rest.split(", ") if re.fullmatch(r"-?\d+", part))
            yield Call(found["name"], numbers, texts, rest, int(found["answer"]))


@dataclass
class _File:
    """A file's bytes: those on the disk, and what was written since it was synced."""

    kept: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)
    size: int = 0

    def write(self, offset: int, data: bytes) -> None:
        self.since.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def truncate(self, size: int) -> None:
        self.since.append((size, None))
        self.size = size

    def sync(self) -> None:
        for offset, data in self.since:
            _apply(self.kept, offset, data)
        self.since.clear()

    def after_a_cut(self, random: Random, luck: float) -> bytes:
        """Give what may be left; ``luck`` is how likely each sector got there."""
        left = bytearray(self.kept)
        for offset, data in self.since:
            if data is None:
                if random.random() < luck:
                    _apply(left, offset, None)
                continue
            start = 0
            while start < len(data):
                stop = min(len(data), start + SECTOR - (offset + start) % SECTOR)
                if random.random() < luck:
                    _apply(left, offset + start, data[start:stop])
                start = stop
        return bytes(left)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    end = offset if data is None else offset + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[end:]
    else:
        content[offset:end] = data


@dataclass
class _Open:
    file: _File | None
    path: PurePosixPath
    position: int = 0
    appends: bool = False


#: A name that came to be (a file, or None for a folder) or went.
_Change = tuple[PurePosixPath, "_File | None", bool]


class Disk:
    """A folder's files as a disk sees them.

    Attributes:
        said: What the program wrote to its standard output so far.
        syncs: How often it made files durable.
    """

    def __init__(self, root: Path) -> None:
        """Begin with an empty folder."""
        self._root = PurePosixPath(root)
        self._names: dict[PurePosixPath, _File | None] = {}
        self._kept: dict[PurePosixPath, _File | None] = {}
        self._since: dict[PurePosixPath, list[_Change]] = {}
        self._open: dict[int, _Open] = {}
        self.said = b""
        self.syncs = 0

    def take(self, call: Call) -> bool:
        """Replay a call; tell whether it concerned the folder."""
        name = call.name
        if name in {"write", "writev"} and call.numbers[0] == 1:
            self.said += b"".join(call.texts)
            return False
        if name in {"openat", "open", "creat"}:
            return self._do_open(call)
        if name == "close":
            return self._open.pop(call.numbers[0], None) is not None and False
        if name in {"dup", "dup2", "dup3"} or (name == "fcntl" and "F_DUPFD" in call.flags):
            if call.numbers[0] in self._open:
                self._open[call.answer] = self._open[call.numbers[0]]
            return False
        if call.texts and name not in {"write", "pwrite64", "writev", "pwritev"}:
            return self._do_name(call)
        opened = self._open.get(call.numbers[0]) if call.numbers else None
        return opened is not None and self._do_file(call, opened)

    def _path(self, text: bytes) -> PurePosixPath | None:
        path = PurePosixPath(os.path.normpath(text.decode()))
        return path if path == self._root or self._root in path.parents else None

    def _do_open(self, call: Call) -> bool:
        path = self._path(call.texts[0])
        if path is None:
            return False
        created = path not in self._names and path != self._root and "O_CREAT" in call.flags
        if created:
            self._change(path, _File(), is_there=True)
        file = self._names.get(path)
        self._open[call.answer] = _Open(file, path, appends="O_APPEND" in call.flags)
        if file is not None and "O_TRUNC" in call.flags and file.size:
            file.truncate(0)
        return created

    def _do_name(self, call: Call) -> bool:
        paths = [self._path(text) for text in call.texts]
        first = paths[0]
        if first is None:
            return False
        if call.name in {"mkdir", "mkdirat"}:
            self._change(first, None, is_there=True)
        elif call.name in {"unlink", "unlinkat", "rmdir"}:
            self._change(first, None, is_there=False)
        elif call.name == "truncate":
            file = self._names[first]
            assert file is not None
            file.truncate(call.numbers[0])
        else:  # rename and link
            target = paths[1]
            assert target is not None, call
            self._change(target, self._names[first], is_there=True)
            if call.name.startswith("rename"):
                self._change(first, None, is_there=False)
        return True

    def _do_file(self, call: Call, opened: _Open) -> bool:
        file = opened.file
        if call.name in {"fsync", "fdatasync"}:
            self.syncs += 1
            if file is None:
                self._sync_folder(opened.path)
            else:
                file.sync()
            return True
        if file is None:
            return False
        data = b"".join(call.texts)[: call.answer]
        if call.name in {"write", "writev"}:
            at = file.size if opened.appends else opened.position
            file.write(at, data)
            opened.position = at + len(data)
        elif call.name in {"pwrite64", "pwritev"}:
            file.write(call.numbers[-1], data)
        elif call.name == "lseek":
            opened.position = call.answer
            return False
        elif call.name == "ftruncate":
            file.truncate(call.numbers[1])
        elif call.name == "fallocate":
            file.truncate(max(file.size, call.numbers[-2] + call.numbers[-1]))
        else:
            return False
        return True

    def _change(self, path: PurePosixPath, file: _File | None, *, is_there: bool) -> None:
        if is_there:
            self._names[path] = file
        else:
            self._names.pop(path, None)
        self._since.setdefault(path.parent, []).append((path, file, is_there))

    def _sync_folder(self, folder: PurePosixPath) -> None:
        for change in self._since.pop(folder, []):
            _rename(self._kept, change)

    def cut(self, random: Random, into: Path) -> None:
        """Write what may be left into a folder."""
        luck = random.choice([0.0, 0.5, 0.9, 1.0])
        names = dict(self._kept)
        for changes in self._since.values():
            happened = len(changes) if luck == 1 else random.randint(0, round(luck * len(changes)))
            for change in changes[:happened]:
                _rename(names, change)
        into.mkdir(parents=True)
        for path, file in sorted(names.items(), key=lambda item: len(item[0].parts)):
            place = into / path.relative_to(self._root)
            if not place.parent.is_dir():  # Its folder is gone, and it with it.
                continue
            if file is None:
                place.mkdir()
            elif not path.name.endswith("-shm"):  # SQLite makes it anew when nobody has it open.
                place.write_bytes(file.after_a_cut(random, luck))


def _rename(names: dict[PurePosixPath, _File | None], change: _Change) -> None:
    path, file, is_there = change
    if is_there:
        names[path] = file
    else:
        names.pop(path, None)
