"""Telling a folder, a database and a server of MLflow's apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.transfer.source import Source

__all__ = ["open_mlflow"]

#: The database that MLflow 3.7 and later make where nothing else is said.
DATABASE = "mlflow.db"
DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}


def open_mlflow(text: str, *, artifacts: Path | None = None) -> Source:
    """Open a store of MLflow's for reading.

    Args:
        text: An ``mlruns`` folder or one that has it, an SQLite file, a database URL or a
            server's address.
        artifacts: Folder that now holds what lay at the artifact root.

    Raises:
        InvalidInputError: There is no store of MLflow's.
    """
    scheme = text.partition(":")[0].lower() if "://" in text or text.startswith("file:") else ""
    if scheme in {"http", "https"}:
        from loopline.transfer.mlflow_server import ServerSource

        return ServerSource(text, artifacts=artifacts)
    if scheme.partition("+")[0] in DATABASES:
        return _database(text, artifacts)
    if scheme not in {"", "file"}:
        msg = (
            f"{text} is no address of an MLflow store. Give an mlruns folder, MLflow's database "
            "(sqlite:///…, postgresql://…), or a server (http://…)."
        )
        raise InvalidInputError(msg)
    path = Path(unquote(urlsplit(text).path)) if scheme else Path(text).expanduser()
    if path.is_file():
        return _database(f"sqlite:///{path}", artifacts)
    if not path.is_dir():
        msg = (
            f"There is no {path}. Give an mlruns folder, MLflow's database file or URL "
            "(sqlite:///…, postgresql://…), or a server's address (http://…)."
        )
        raise InvalidInputError(msg)
    from loopline.transfer.mlruns import MlrunsSource, find_mlruns

    root = find_mlruns(path)
    database = path / DATABASE
    if root is not None and database.is_file():
        msg = (
            f"{path} holds two stores of MLflow's, {root.name} and {DATABASE}. Say which one: "
            f"{root} or {database}."
        )
        raise InvalidInputError(msg)
    if root is not None:
        return MlrunsSource(root, artifacts=artifacts)
    if database.is_file():
        return _database(f"sqlite:///{database}", artifacts)
    msg = (
        f"{path} is no store of MLflow's: there are neither experiments with a meta.yaml in it nor "
        f"a {DATABASE}. Give the folder, file or address that MLFLOW_TRACKING_URI names."
    )
    raise InvalidInputError(msg)


def _database(url: str, artifacts: Path | None) -> Source:
    from loopline.transfer.mlflow_sql import SqlSource

    return SqlSource(url, artifacts=artifacts)
