"""Settings: where the home is, which store to talk to, and the few numbers one may change.

Every setting is an environment variable; ``ENVIRONMENT`` lists them all with their meaning.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loopline.errors import InvalidInputError

__all__ = [
    "ENVIRONMENT",
    "HOME_FOLDER",
    "Address",
    "authorization",
    "blobs_address",
    "expanded",
    "find_home",
    "is_named",
    "number",
    "parse_address",
    "tracking_address",
]

HOME_FOLDER = ".loopline"

#: Environment variables that Loopline reads, and what each means.
ENVIRONMENT: dict[str, str] = {
    "LOOPLINE_URI": "Where to record: a folder, http(s)://server, or a database URL. "
    "Without it: the nearest .loopline folder at or above the working directory, else ~/.loopline.",
    "LOOPLINE_HOME": "The home folder itself, instead of looking for one.",
    "LOOPLINE_RECORD_TO": "Where to record whatever else is said, in code, too: so that a run that "
    "is reproduced touches nothing but a folder of its own.",
    "LOOPLINE_BLOBS": "Where files are kept: a folder, or an s3://, gs:// or az:// prefix.",
    "LOOPLINE_DIRECT_FILES": "0: a server whose files are in a bucket gives MLflow's clients no "
    "addresses of the bucket; all files go through the server.",
    "LOOPLINE_CACHE_GB": "Gigabytes that models loaded from a store may take on this machine (20); "
    "those used longest ago go first. 0: no bound.",
    "LOOPLINE_ACTOR": "Name that moves in the registry are recorded under (default: the user).",
    "LOOPLINE_TAXI_DATA": "Folder with TLC's monthly green-taxi files, for the demo.",
    "LOOPLINE_TAXI_URL": "Where the demo fetches these files, instead of TLC's own site.",
    "LOOPLINE_NO_CAPTURE": "1: do not record git, packages and machine with each run.",
    "LOOPLINE_SYSTEM_METRICS": "0: do not sample processors, memory, disk, network and GPUs.",
    "LOOPLINE_SYSTEM_METRICS_EVERY_S": "Seconds between two samples of system metrics (10).",
    "LOOPLINE_ADOPT_EVERY_S": "Seconds between two looks for journals of dead processes (10).",
    "LOOPLINE_TOKEN": "API token with which to sign in to a server.",
    "LOOPLINE_OIDC_ISSUER": "URL of an OpenID Connect provider by which people sign in to "
    "`loopline server --auth`.",
    "LOOPLINE_OIDC_CLIENT_ID": "What the server is called there.",
    "LOOPLINE_OIDC_CLIENT_SECRET": "The server's secret there; without it: a public client.",
    "LOOPLINE_OIDC_ROLES": "Roles by group, such as ml-admins=admin,ml=editor,*=viewer.",
    "LOOPLINE_OIDC_GROUPS_CLAIM": "Where the ID token tells the groups (groups).",
    "LOOPLINE_OIDC_SCOPES": "What is asked for (openid profile email).",
    "LOOPLINE_SECRET_KEY": "Key that secrets in the store are sealed with, 32 bytes in base64 "
    "(default, for a SQLite store: the file secret.key beside it); more after it only open.",
    "LOOPLINE_SECRET_KEY_FILE": "File with that key.",
    "MLFLOW_TRACKING_URI": "Used when LOOPLINE_URI is not set.",
    "MLFLOW_TRACKING_USERNAME": "User to sign in to a server as, when LOOPLINE_TOKEN is not set.",
    "MLFLOW_TRACKING_PASSWORD": "That user's password, or a token of its.",
    "MLFLOW_TRACKING_TOKEN": "Used when neither LOOPLINE_TOKEN nor such a user is set.",
    "LOOPLINE_RUN_ID": "The run that the first start_run() of a process goes on with.",
    "MLFLOW_RUN_ID": "Used when LOOPLINE_RUN_ID is not set.",
    "MLFLOW_EXPERIMENT_NAME": "Experiment when none is set in code.",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "Used when LOOPLINE_SYSTEM_METRICS is not set.",
}


#: What MLflow's client writes before the address of a store of ours.
MLFLOW_SCHEME = "loopline:"


class Address:
    """Where facts go, parsed.

    Attributes:
        kind: ``"home"`` (a folder with everything), ``"http"`` or ``"database"``.
        text: Folder path, server URL without trailing slash, or database URL.
    """

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return (self.kind, self.text) == (other.kind, other.text)

    def __hash__(self) -> int:
        return hash((self.kind, self.text))

    def __repr__(self) -> str:
        return f"Address({self.kind!r}, {self.text!r})"

    def __str__(self) -> str:
        """The address as one may show it: a password in a URL is left out."""
        parts = urlsplit(self.text)
        if parts.password is None:
            return self.text
        return self.text.replace(f":{parts.password}@", ":***@")


def find_home(start: Path | None = None) -> Path:
    """Find the home as git finds a repository: at or above ``start``, else ``~/.loopline``."""
    given = os.environ.get("LOOPLINE_HOME")
    if given:
        return Path(given).expanduser().resolve()
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / HOME_FOLDER).is_dir():
            return folder / HOME_FOLDER
    return Path.home() / HOME_FOLDER


def parse_address(text: str) -> Address:
    """Tell a folder, a server and a database apart.

    ``loopline:`` before it changes nothing, and alone it is the home: so MLflow's client names a
    store of ours, also to the processes that it starts.

    Raises:
        InvalidInputError: For a scheme that Loopline does not know.
    """
    if text.startswith(MLFLOW_SCHEME):
        text = text.removeprefix(MLFLOW_SCHEME)
        if text.startswith("///"):
            text = unquote(text[2:])
        if not text:
            return Address("home", str(find_home()))
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in {"http", "https"}:
        return Address("http", text.rstrip("/"))
    if scheme in {"postgresql", "sqlite"} or scheme.startswith("postgresql+"):
        return Address("database", text)
    if scheme == "file":
        return Address("home", str(Path(urlsplit(text).path).resolve()))
    if scheme:
        msg = (
            f"Loopline cannot record to {text!r}. Give a folder, http(s)://host:port of a "
            "`loopline server`, or a database URL that begins with postgresql:// or sqlite://."
        )
        raise InvalidInputError(msg)
    folder = Path(text).expanduser().resolve()
    return Address("home", str(folder))


def tracking_address(uri: str | None = None) -> Address:
    """Decide where to record: ``uri``, else the environment, else the home.

    While a run is reproduced all of it goes to one place, whatever the code says.
    """
    text = os.environ.get("LOOPLINE_RECORD_TO") or uri or _named()
    if text:
        return parse_address(text)
    return Address("home", str(find_home()))


def is_named() -> bool:
    """Whether the environment names an address, so that no home is looked for."""
    return bool(_named())


def _named() -> str | None:
    return os.environ.get("LOOPLINE_URI") or os.environ.get("MLFLOW_TRACKING_URI")


def authorization(address: Address) -> str:
    """Decide how to sign in to a server: the ``Authorization`` header, or nothing.

    A name and password in the address come first, then ``LOOPLINE_TOKEN``, then what MLflow's
    clients read, in their order.
    """
    parts = urlsplit(address.text)
    if parts.username:
        return _basic(unquote(parts.username), unquote(parts.password or ""))
    if token := os.environ.get("LOOPLINE_TOKEN"):
        return f"Bearer {token.strip()}"
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return _basic(user, password)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token.strip()}" if token else ""


def _basic(user: str, password: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def blobs_address(home: Path) -> str:
    """Decide where blobs are kept: ``LOOPLINE_BLOBS``, else ``blobs/`` in the home."""
    return os.environ.get("LOOPLINE_BLOBS") or str(home / "blobs")


def number(name: str, default: float) -> float:
    """Read a number from the environment.

    Raises:
        InvalidInputError: When the variable is set to something else.
    """
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        msg = f"{name} must be a number, not {text!r}. Unset it to get the default, {default:g}."
        raise InvalidInputError(msg) from None


_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)


def expanded(text: str) -> str:
    """Put environment variables in the place of each ``${NAME}``, where the task runs.

    Passwords thus stay out of the flow's code, its graph and its log.

    Raises:
        InvalidInputError: A variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in os.environ:
            msg = (
                f"The environment variable {name} is not set where the task runs. Set it for the "
                "worker, or for the process that calls flow.run()."
            )
            raise InvalidInputError(msg)
        return os.environ[name]

    return _VARIABLE.sub(value, text)
