"""What names, keys and values may be: MLflow's limits or wider, never cut in silence."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from functools import lru_cache

from loopline.errors import InvalidInputError

__all__ = [
    "check_alias",
    "check_artifact_path",
    "check_description",
    "check_experiment_name",
    "check_experiment_tag_value",
    "check_id",
    "check_key",
    "check_logged_model_name",
    "check_model_name",
    "check_param_value",
    "check_registry_tag",
    "check_sha256",
    "check_stage",
    "check_tag_value",
    "check_text",
]

MAX_KEY = 250
MAX_EXPERIMENT_NAME = 500
#: MLflow cuts these at 6,000 and 8,000 characters without a word; here they are kept whole.
MAX_PARAM_VALUE = 65_536
MAX_TAG_VALUE = 65_536
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_REGISTRY_TAG_VALUE = 100_000
MAX_MODEL_NAME = 256
MAX_LOGGED_MODEL_NAME = 500
MAX_DESCRIPTION = 1_000_000
MAX_ALIAS = 255
MAX_PATH = 1_000
#: An entry of PostgreSQL's indexes has room for 2,704 bytes, with a model's name before the path.
MAX_PATH_BYTES = 1_600

_AS_FILE = ", or keep the text as an artifact with `log_text`"

_KEY = re.compile(r"[\w\-. :/]+\Z")
_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}\Z", re.ASCII)
_NOT_IN_MODEL = frozenset("/:.%\"'")
#: A model's stage: not a number, which would be a version.
_STAGE = re.compile(r"[a-zA-Z][\w\-. ]{0,39}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALIAS = re.compile(r"[\w\-]+\Z")


def check_text(what: str, text: str, most: int, *, longer: str = "") -> None:
    """Check that a text can be kept: no NUL, no lone surrogate, not too long.

    Args:
        what: What it is, for the message.
        text: As given.
        most: Characters allowed.
        longer: Where a longer one belongs, as the message ends with it.

    Raises:
        InvalidInputError: Naming ``what``; the text is never cut.
    """
    if "\0" in text:
        msg = f"The {what} holds a NUL character, which databases cannot keep. Take it out."
        raise InvalidInputError(msg)
    if not text.isascii():
        _check_encodes(what, text)
    if len(text) > most:
        msg = f"The {what} has {len(text):,} characters; {most:,} are allowed. Shorten it{longer}."
        raise InvalidInputError(msg)


def _check_encodes(what: str, text: str) -> None:
    """Refuse half of a character, as comes of file names or JSON that are not really text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = (
            f"The {what} holds a lone surrogate, U+{ord(text[error.start]):04X} at character "
            f"{error.start + 1}, which is no text. Take it out, or decode the bytes it came from."
        )
        raise InvalidInputError(msg) from None


def check_key(kind: str, key: str) -> None:
    """Check the key of a param, metric or tag.

    Raises:
        InvalidInputError: Naming the key and what is allowed.
    """
    if not isinstance(key, str):
        msg = f"A {kind} key must be text, not {type(key).__name__}: {key!r}."
        raise InvalidInputError(msg)
    _check_key(kind, key)


@lru_cache(4096)
def _check_key(kind: str, key: str) -> None:
    """Check a text; those that are good are remembered, as a training's keys are few."""
    if not key:
        msg = f"A {kind} needs a key; an empty one was given."
        raise InvalidInputError(msg)
    check_text(f"{kind} key {key[:40]!r}", key, MAX_KEY)
    if not _KEY.match(key):
        msg = (
            f"The {kind} key {key!r} may hold letters, digits, and _ - . : / and spaces only. "
            "Rename it."
        )
        raise InvalidInputError(msg)
    if posixpath.normpath(key) != key or key.startswith("/") or key == "." or key[:2] == "..":
        msg = f"The {kind} key {key!r} reads as another path. Use a plain name such as 'a/b'."
        raise InvalidInputError(msg)


def check_sha256(text: str) -> str:
    """Check that a text is a SHA-256 in hex.

    Raises:
        InvalidInputError: It is not.
    """
    if not _SHA256.fullmatch(text):
        msg = f"{text[:80]!r} is not a SHA-256 of 64 hex digits."
        raise InvalidInputError(msg)
    return text


def check_stage(stage: str) -> str:
    """Check the name of a stage, which becomes part of addresses: ``models:/name/Stage``.

    Raises:
        InvalidInputError: Naming what is allowed.
    """
    if not _STAGE.fullmatch(stage) or stage.lower() == "latest":
        msg = (
            f"Invalid stage {stage[:80]!r}. A stage is 1 to 40 letters, digits, spaces and - _ . "
            "beginning with a letter, and not 'latest'. Rename it."
        )
        raise InvalidInputError(msg)
    return stage


def check_param_value(key: str, value: str) -> None:
    """Check a param's value."""
    check_text(f"value of param {key!r}", value, MAX_PARAM_VALUE, longer=_AS_FILE)


def check_tag_value(key: str, value: str) -> None:
    """Check a tag's value."""
    check_text(f"value of tag {key!r}", value, MAX_TAG_VALUE, longer=_AS_FILE)


def check_experiment_tag_value(key: str, value: str) -> None:
    """Check the value of an experiment's tag."""
    check_text(f"value of experiment tag {key!r}", value, MAX_EXPERIMENT_TAG_VALUE)


def check_experiment_name(name: str) -> None:
    """Check the name of an experiment."""
    if not isinstance(name, str):
        msg = (
            f"An experiment's name is text, not {type(name).__name__}: {name!r:.80}. Give it as "
            "text, or an id as experiment_id."
        )
        raise InvalidInputError(msg)
    if not name.strip():
        msg = "An experiment needs a name that is not empty, such as 'taxi fares'."
        raise InvalidInputError(msg)
    check_text("experiment's name", name, MAX_EXPERIMENT_NAME)


def check_id(what: str, value: str) -> None:
    """Check a run id or the like."""
    if not isinstance(value, str):
        msg = f"A {what} is a text, not {type(value).__name__}: {value!r:.80}. Give it as text."
        raise InvalidInputError(msg)
    if not _ID.match(value):
        msg = (
            f"{value[:80]!r} cannot be a {what}: it begins with a letter or digit and goes on with "
            "letters, digits, _ and - (256 at most)."
        )
        raise InvalidInputError(msg)


def check_model_name(name: str) -> None:
    """Check the name of a registered model."""
    if not name.strip():
        msg = "A registered model needs a name that is not empty."
        raise InvalidInputError(msg)
    if "/" in name or ":" in name:
        msg = f"Invalid model name {name!r}: names cannot contain '/' or ':'. Take another one."
        raise InvalidInputError(msg)
    check_text("model's name", name, MAX_MODEL_NAME)


def check_logged_model_name(name: str) -> None:
    """Check what a logged model is logged as."""
    if not name.strip() or set(name) & _NOT_IN_MODEL:
        msg = (
            f"Invalid model name ({name[:80]!r}) provided. Model name must be a non-empty string "
            "and cannot contain the following characters: ('/', ':', '.', '%', '\"', \"'\"). "
            "Take another one."
        )
        raise InvalidInputError(msg)
    check_text("model's name", name, MAX_LOGGED_MODEL_NAME)


def check_registry_tag(key: str, value: str) -> None:
    """Check a tag of a registered model or of a version."""
    check_key("tag", key)
    check_text(f"value of tag {key!r}", value, MAX_REGISTRY_TAG_VALUE)


def check_description(text: str) -> None:
    """Check what is said of a registered model or of a version."""
    check_text("description", text, MAX_DESCRIPTION)


def check_alias(alias: str) -> None:
    """Check an alias of a model version."""
    if not _ALIAS.match(alias) or alias.lower() == "latest" or re.match(r"[vV]\d+\Z", alias):
        msg = (
            f"{alias!r} cannot be an alias: use letters, digits, _ and -, and neither 'latest' "
            "nor a version such as 'v3'."
        )
        raise InvalidInputError(msg)
    check_text("alias", alias, MAX_ALIAS)


def check_artifact_path(path: str) -> str:
    """Check a path inside a run and return it in its one form, without a trailing slash.

    Raises:
        InvalidInputError: It is no text, absolute, climbs with ``..``, or holds a backslash or a
            control character.
    """
    if not isinstance(path, str):
        msg = (
            f"A path among a run's files is text such as 'model/MLmodel', not "
            f"{type(path).__name__}: {path!r:.80}. Give str(...) of a path."
        )
        raise InvalidInputError(msg)
    clean = path.rstrip("/")
    parts = clean.split("/")
    if (
        not clean
        or any(part in {"", ".", ".."} for part in parts)
        or "\\" in clean
        or any(unicodedata.category(character) == "Cc" for character in clean)
        or re.match(r"[A-Za-z]:", clean)
    ):
        msg = (
            f"Invalid path {path!r}: give a relative path such as 'model/MLmodel', without "
            "'..', backslashes or control characters."
        )
        raise InvalidInputError(msg)
    check_text("path", clean, MAX_PATH)
    if len(clean.encode()) > MAX_PATH_BYTES:
        msg = f"The path {clean[:40]!r}… has more than {MAX_PATH_BYTES:,} bytes. Shorten it."
        raise InvalidInputError(msg)
    return clean
