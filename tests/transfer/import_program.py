"""Imports a store into a home, in a process of its own that a test may kill."""

from __future__ import annotations

import sys

from loopline.backend.local import LocalBackend
from loopline.settings import Address
from loopline.transfer import importer
from loopline.transfer.open_source import open_mlflow


def main(source: str, home: str) -> int:
    importer.TOGETHER = 10  # Many small parts, so that a kill finds one under way.
    backend = LocalBackend(Address("home", home))

    def watch(step: importer.Step) -> None:
        print(step.runs, flush=True)

    report = importer.import_from(open_mlflow(source), backend, watch=watch)
    backend.close()
    return 0 if report.equal else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
