"""Addresses of models: ``models:/name/3``, ``models:/m-<id>``, ``runs:/<id>/model``, a folder."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from loopline.errors import InvalidInputError
from loopline.records.registry import Stage
from loopline.rules.names import check_stage

__all__ = [
    "FolderAddress",
    "LoggedModelAddress",
    "RegistryAddress",
    "RunAddress",
    "parse_model_address",
]

#: What ids of logged models begin with, and no version of a registered model: that has a slash.
LOGGED = "m-"


class RegistryAddress(NamedTuple):
    """A version of a registered model, by exactly one of number, stage, alias or ``latest``."""

    name: str
    version: int = 0
    stage: str = ""
    alias: str = ""
    latest: bool = False


class LoggedModelAddress(NamedTuple):
    """A logged model, by its id."""

    model_id: str


class RunAddress(NamedTuple):
    """A folder among a run's artifacts, or the name of a logged model that the run made."""

    run_id: str
    path: str


class FolderAddress(NamedTuple):
    """A folder on this machine."""

    path: str


def parse_model_address(
    uri: str,
) -> RegistryAddress | LoggedModelAddress | RunAddress | FolderAddress:
    """Tell what a model's address means.

    Raises:
        InvalidInputError: It is none; the message shows the forms there are.
    """
    scheme, found, rest = uri.partition(":")
    if found and scheme == "models":
        return _parse_registry(uri, rest.strip("/"))
    if found and scheme == "runs":
        run_id, _, path = rest.lstrip("/").partition("/")
        if run_id and path.strip("/"):
            return RunAddress(run_id, path.strip("/"))
        raise _unreadable(uri)
    if found and scheme == "file":
        return FolderAddress(unquote(urlsplit(uri).path))
    if "://" in uri:
        raise _unreadable(uri)
    return FolderAddress(uri)


def _parse_registry(uri: str, rest: str) -> RegistryAddress | LoggedModelAddress:
    name, slash, choice = rest.partition("/")
    if not slash:
        if name.startswith(LOGGED) and "@" not in name:
            return LoggedModelAddress(name)
        name, at, alias = rest.rpartition("@")  # A name may hold one, an alias may not.
        if name and at and alias:
            return RegistryAddress(name, alias=alias)
        raise _unreadable(uri)
    if not name or not choice or "/" in choice:
        raise _unreadable(uri)
    if choice.isdecimal() and int(choice) > 0:
        return RegistryAddress(name, version=int(choice))
    if choice.lower() == "latest":
        return RegistryAddress(name, latest=True)
    try:
        return RegistryAddress(name, stage=check_stage(_spelled(choice)))
    except InvalidInputError:
        raise _unreadable(uri) from None


def _spelled(stage: str) -> str:
    """Write one of the four stages as everybody does; a model's own is left as it is."""
    try:
        return Stage(stage).value
    except ValueError:
        return stage


def _unreadable(uri: str) -> InvalidInputError:
    stages = ", ".join(stage.value for stage in Stage)
    msg = (
        f"{uri!r} is no address of a model. Write models:/NAME/3, models:/NAME/STAGE (a stage is "
        f"one of {stages}, or one of the model's own), models:/NAME/latest, models:/NAME@ALIAS, "
        "models:/m-ID, "
        "runs:/RUN_ID/model, or the path of a folder."
    )
    return InvalidInputError(msg)
