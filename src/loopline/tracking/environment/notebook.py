"""Notebooks: the cells run so far, when the code runs in IPython or Jupyter."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CELLS", "as_script", "cells_so_far", "follow", "is_kernel", "name_of", "shell"]

#: Where the cells are kept among a run's artifacts.
CELLS = "loopline/cells.py"
#: The last cells are kept when there are more characters than this.
MAX_CELLS = 2_000_000


def shell() -> Any:  # noqa: ANN401 - IPython ships no types here
    """Get the IPython shell that this process's code runs in, without importing IPython."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def name_of(ipython: Any) -> str:  # noqa: ANN401
    """Name of the notebook, as far as Jupyter or VS Code tells it; empty otherwise."""
    told = ipython.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME", "")
    return str(told) if str(told).endswith(".ipynb") else ""


def is_kernel() -> bool:
    """Tell whether the code runs in Jupyter's kernel: what was started is not the code then."""
    return shell() is not None and "ipykernel" in sys.modules


def cells_so_far() -> list[str] | None:
    """Copy the cells run so far, the present one among them; None outside IPython."""
    ipython = shell()
    history = getattr(ipython, "history_manager", None)
    return None if history is None else list(history.input_hist_raw)


def as_script(cells: list[str]) -> str:
    """Write cells in order as a script with the usual marks between them."""
    parts: list[str] = []
    room = MAX_CELLS
    for number in range(len(cells) - 1, 0, -1):  # The first entry stands for no cell.
        part = f"# %% In [{number}]\n{cells[number].rstrip()}\n"
        room -= len(part)
        if room < 0:
            parts.append(f"# %% {number} cells before these are not kept\n")
            break
        parts.append(part)
    return "\n".join(reversed(parts))


def follow(ipython: Any, after_each_cell: Callable[[], None]) -> None:  # noqa: ANN401
    """Have a function called after each cell."""

    def called(*_result: object) -> None:
        after_each_cell()

    ipython.events.register("post_run_cell", called)
