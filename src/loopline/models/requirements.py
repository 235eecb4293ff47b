"""What a model needs installed: its flavor's packages in the versions at hand."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["gather_requirements", "installed_version", "pin"]


def installed_version(distribution: str) -> str | None:
    """Tell which version is installed, without what only one machine knows (``+cpu``)."""
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def pin(distributions: Iterable[str]) -> list[str]:
    """Write ``name==version`` for each distribution that is installed, in order of names."""
    versions = {name: installed_version(name) for name in sorted(set(distributions))}
    return [f"{name}=={version}" for name, version in versions.items() if version]


def gather_requirements(
    distributions: Iterable[str],
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
) -> list[str]:
    """Decide a model's requirements: the given ones, else the flavor's, and extra ones.

    Args:
        distributions: What the flavor needs.
        pip_requirements: Lines such as ``"scikit-learn==1.5.2"``, or the path of a file with
            such lines, instead of the flavor's.
        extra_pip_requirements: The same, added.

    Raises:
        InvalidInputError: For an option of pip or a password, which have no place in a model.
    """
    chosen = pin(distributions) if pip_requirements is None else _lines(pip_requirements)
    if extra_pip_requirements is None:
        return chosen
    extra = _lines(extra_pip_requirements)
    named = {_name(line) for line in extra}
    return [line for line in chosen if _name(line) not in named] + extra


def _lines(given: Sequence[str] | str) -> list[str]:
    """Read requirement lines, given or from a file; comments go."""
    if isinstance(given, str):
        path = Path(given)
        if not path.is_file():
            msg = (
                f"There is no requirements file {given!r}. Give its path, or a list of lines such "
                'as ["scikit-learn==1.5.2"].'
            )
            raise InvalidInputError(msg)
        given = path.read_text(encoding="utf-8").splitlines()
    lines = [re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in given]
    for line in lines:
        _check(line)
    return [line for line in lines if line]


def _check(line: str) -> None:
    """Refuse what tells where to fetch from or with which password."""
    if line.startswith("-"):
        msg = (
            f"{line.split(maxsplit=1)[0]!r} is an option of pip, and a model keeps requirements "
            "only. Leave it out here; set indexes in pip's own configuration where the model is "
            "loaded."
        )
        raise InvalidInputError(msg)
    _, found, address = line.partition("@")
    if found and urlsplit(address.strip()).username is not None:
        msg = (
            f"The requirement {_name(line)!r} holds a user name or password. Take it out of the "
            "address; git and pip find it in their own configuration."
        )
        raise InvalidInputError(msg)


def _name(line: str) -> str:
    """Find the distribution's name in a requirement, in its normal form."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[=<>!~;@]", line, maxsplit=1)[0]).lower()
