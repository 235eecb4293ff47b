"""Code: how a stored flow comes back in the process that runs it.

A flow found as a global of an imported module goes *by reference*: a worker imports the module.
Any other, such as one defined in a script or notebook, goes *by value*, pickled by cloudpickle,
which only the same Python minor can read. Either way the local modules it uses go along in a
bundle, a zip of their ``.py`` files; ``loopline.flows.shipping.packing`` makes all three.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import TYPE_CHECKING, cast

from loopline.errors import FlowError
from loopline.flows.shipping import prefect_alias
from loopline.flows.shipping.unzipping import unzip_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.flows.flow import Flow
    from loopline.records.flows import FlowCode

__all__ = ["load_flow", "python_minor"]


def load_flow(code: FlowCode, read: Callable[[str], bytes], folder: Path) -> Flow:
    """Bring a stored flow back, to run it here.

    Args:
        code: How it was stored.
        read: Gives the bytes of a blob by its SHA-256.
        folder: Private folder for the bundle; it goes first on ``sys.path``.

    Raises:
        FlowError: When this Python cannot read it, or an import fails.
        IntegrityError: When the bundle is no bundle of sources.
    """
    if code.kind == "pickle" and code.python != python_minor():
        msg = (
            f"This flow was registered by value from Python {code.python}, and this worker runs "
            f"{python_minor()}, which cannot read that. Start a worker with Python "
            f"{code.python}, or move the flow into a module so that it goes by reference."
        )
        raise FlowError(msg)
    if code.bundle:
        unzip_sources(read(code.bundle), folder)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
    # What was registered by `python -m loopline.compat.prefect` may import that name here.
    prefect_alias.install(over=False)
    try:
        if code.kind == "pickle":
            return cast("Flow", pickle.loads(read(code.blob)))  # noqa: S301 - workers run user code
        module, _, attribute = code.entry.partition(":")
        flow = cast("Flow", getattr(importlib.import_module(module), attribute))
        if code.blob:
            flow.executor = pickle.loads(read(code.blob))  # noqa: S301
    except ImportError as error:
        msg = (
            f"The flow's code needs {error.name or 'a module'}: {error}. Install it where the "
            "worker runs; local modules travel along when they are imported as registered."
        )
        raise FlowError(msg) from error
    except AttributeError as error:
        msg = f"The flow's code does not fit what is installed here: {error}. Register it again."
        raise FlowError(msg) from error
    return flow


def python_minor() -> str:
    """Give this Python's minor version, such as ``"3.11"``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
