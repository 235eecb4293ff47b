"""Opens a store as a Loopline would whose newest schema is a test's, and may die on the way."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import Engine, event

from loopline.store import upgrade
from loopline.store.database import Store

__all__ = ["main"]


def main(url: str, migrations: str, die_at: int) -> None:
    """Open a store once a line comes in, and say what statements that took.

    Args:
        url: The store.
        migrations: Folder with the test's migrations.
        die_at: Number of the statement (a COMMIT counts) at which to die, before it is carried
            out; 0: none.
    """
    # As a release would have them, whose code is otherwise this one's.
    upgrade.HEAD, upgrade.MIGRATIONS = "0002", Path(migrations)
    statements: list[str] = []

    def count(statement: str) -> None:
        statements.append(statement)
        if len(statements) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # The kernel may take a moment.

    event.listen(Engine, "before_cursor_execute", lambda *given: count(given[2]))
    event.listen(Engine, "commit", lambda _connection: count("COMMIT"))
    print("ready", flush=True)
    sys.stdin.readline()
    Store(url).close()
    print(json.dumps(statements), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
