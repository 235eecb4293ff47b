"""A real PostgreSQL for tests: started when first asked for, on a socket of its own, then gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import quote

from loopline.backend.local import LocalBackend
from loopline.settings import Address

__all__ = ["PostgresServer"]

#: Its files may be lost with the power: they are a test's.
_SETTINGS = ("fsync=off", "listen_addresses=", "max_connections=200", "shared_buffers=64MB")
_WAIT_S = 60.0


class PostgresServer:
    """A server with an empty Loopline store to copy, so that a new database takes no migration."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            FileNotFoundError: PostgreSQL is not installed; the message says how to get it.
        """
        programs = _find_programs()
        # Not below pytest's folder: a socket's path has room for a hundred characters.
        self._folder = Path(tempfile.mkdtemp(prefix="llpg-"))
        owner = _owner()
        if owner is not None:
            shutil.chown(self._folder, owner)
        data = self._folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "loopline", "-A", "trust", "--no-sync", "-E",
             "UTF8", "--locale=C.UTF-8"],
            check=True, user=owner, stdout=subprocess.DEVNULL, cwd=self._folder,
        )  # fmt: skip
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", self._folder, *options],
                user=owner,
                stderr=log,
                cwd=self._folder,
            )
        try:
            self._wait()
            self._run("CREATE DATABASE filled")
            LocalBackend(self._address("filled"), home=self._folder / "home").close()
        except BaseException:
            self.close()
            raise

    def new(self) -> Address:
        """Make a database with an empty store; return its address."""
        name = f"t{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} TEMPLATE filled")
        return self._address(name)

    def new_empty(self) -> Address:
        """Make a database with nothing in it; return its address."""
        name = f"t{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name}")
        return self._address(name)

    def copy(self, address: Address) -> Address:
        """Copy a database that nobody has open; return the copy's address."""
        name = f"t{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {_name_of(address)}")
        return self._address(name)

    def drop(self, address: Address) -> None:
        """Drop a database."""
        self._run(f"DROP DATABASE {_name_of(address)} WITH (FORCE)")

    def close(self) -> None:
        """Stop it and remove its files."""
        self.process.send_signal(signal.SIGINT)  # Without waiting for clients, as SIGTERM would.
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _address(self, name: str) -> Address:
        socket = quote(str(self._folder), safe="")
        return Address("database", f"postgresql://loopline@/{name}?host={socket}")

    def _run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(
            host=str(self._folder), user="loopline", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + _WAIT_S
        while True:
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError:
                log = (self._folder / "log").read_text()
                assert self.process.poll() is None, log
                assert time.monotonic() < until, log
                time.sleep(0.05)
            else:
                return


def _name_of(address: Address) -> str:
    return address.text.partition("?")[0].rpartition("/")[2]


def _find_programs() -> Path:
    """Find the folder of the server's programs, which Debian keeps off PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        msg = (
            "These tests need PostgreSQL's server programs (initdb, postgres). Install them with "
            "tools/system-packages.sh, or on Debian with: apt-get install postgresql"
        )
        raise FileNotFoundError(msg)
    return found[-1].parent


def _owner() -> str | None:
    """Choose who runs it: PostgreSQL refuses to run as root."""
    return None if os.geteuid() else "postgres"
