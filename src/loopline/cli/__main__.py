"""``python -m loopline.cli``: the command line without an installed script."""

from __future__ import annotations

from loopline.cli import main

main()
