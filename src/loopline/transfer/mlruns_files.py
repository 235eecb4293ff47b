"""The small files of an ``mlruns`` folder: meta.yaml, one text a file, one point a line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.logged_models import LoggedModelPoint
from loopline.transfer.points import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.transfer.source import Series

__all__ = ["folders_in", "model_points_of_file", "points_of_file", "read_meta", "texts_below"]

#: Words of a point of a logged model: timestamp, value, step, run, and of a data version, which
#: may follow, the name and the digest.
POINT_WORDS, DATASET_WORDS = 4, 2


def folders_in(folder: Path) -> Iterator[Path]:
    """List the folders in a folder by name; a missing one has none."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        yield folder / name


def read_meta(folder: Path) -> dict[str, Any]:
    """Read a folder's meta.yaml.

    Raises:
        InvalidInputError: It is missing, empty or broken.
    """
    import yaml

    # The loader in C reads ten thousand runs in seconds and not in a minute.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    path = folder / "meta.yaml"
    try:
        meta = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path} cannot be read ({type(error).__name__}). Mend it, or delete its folder."
        raise InvalidInputError(msg) from error
    if not isinstance(meta, dict):
        msg = f"{path} is empty or broken, as a full disk leaves it. Mend it or delete its folder."
        raise InvalidInputError(msg)
    return meta


def texts_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Read a folder of texts: a key may have slashes in it and is then a file further down."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            # Line ends are part of the text, so they are not translated.
            text = path.read_bytes().decode("utf-8", errors="replace")
            yield path.relative_to(folder).as_posix(), text


def points_of_file(path: Path, run_id: str, key: str) -> tuple[Series | None, int]:
    """Read a metric: lines of ``timestamp value step``, or without the step in old stores.

    Returns:
        The series, None when no line of it can be read, and how many lines cannot.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = " ".join(lines).split()
    timestamps: list[int] = []
    values: list[float] = []
    steps: list[int] = []
    unreadable = 0
    try:
        if len(words) != 3 * len(lines):
            raise ValueError  # noqa: TRY301 - the slow way below looks at each line
        timestamps = list(map(int, words[0::3]))
        values = list(map(float, words[1::3]))
        steps = list(map(int, words[2::3]))
    except ValueError:
        timestamps, values, steps, unreadable = _line_by_line(lines)
    if not values:
        return None, unreadable
    return ordered(run_id, key, steps, timestamps, values), unreadable


def model_points_of_file(path: Path, model_id: str, key: str) -> tuple[list[LoggedModelPoint], int]:
    """Read a metric of a logged model: ``timestamp value step run [dataset digest]`` a line.

    Returns:
        The points, and how many lines cannot be read.
    """
    points: list[LoggedModelPoint] = []
    unreadable = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.strip().split(" ")
        rest = words[POINT_WORDS:]
        try:
            if len(words) < POINT_WORDS or len(rest) == 1:
                raise ValueError  # noqa: TRY301 - told of below like any other
            point = LoggedModelPoint(
                model_id=model_id,
                key=key,
                value=float(words[1]),
                step=int(words[2]),
                timestamp_ms=int(words[0]),
                run_id=words[3],
                # A name may have spaces in it, a digest has none.
                dataset_name=" ".join(rest[:-1]),
                dataset_digest=rest[-1] if len(rest) >= DATASET_WORDS else "",
            )
        except ValueError:
            unreadable += bool(line.strip())
            continue
        points.append(point)
    return points, unreadable


def _line_by_line(lines: list[str]) -> tuple[list[int], list[float], list[int], int]:
    timestamps: list[int] = []
    values: list[float] = []
    steps: list[int] = []
    unreadable = 0
    for line in lines:
        words = line.split()
        try:
            timestamp, value = int(float(words[0])), float(words[1])
            step = int(words[2]) if len(words) > 2 else 0  # noqa: PLR2004 - the third word
        except (ValueError, IndexError):
            unreadable += bool(words)
            continue
        timestamps.append(timestamp)
        values.append(value)
        steps.append(step)
    return timestamps, values, steps, unreadable
