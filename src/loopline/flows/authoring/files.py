"""Files of flows: ``flow.save()`` and ``Flow.load()``.

A file is a line of JSON, which says what wrote it and what the rest must hash to, and a pickle.
Reading it runs code, so it is for files of one's own; ``register`` is for everything else.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from loopline.backend.recorder import current_home
from loopline.errors import FlowBuildError, FlowError, IntegrityError, NotFoundError
from loopline.flows.shipping.code import python_minor

if TYPE_CHECKING:
    from loopline.flows.flow import Flow

__all__ = ["load_flow_file", "save_flow"]

_FORMAT = "loopline flow 1"


def save_flow(flow: Flow, path: str | Path | None = None) -> str:
    """Write a flow to a file, by default one of its name in the home; return the path.

    Raises:
        FlowBuildError: Something the flow refers to cannot be pickled.
    """
    import cloudpickle

    target = _place(flow.name) if path is None else Path(path).expanduser()
    try:
        data: bytes = cloudpickle.dumps(flow, protocol=5)
    except Exception as error:
        msg = (
            f"The flow {flow.name!r} cannot be saved: {error}. Open connections, locks and files "
            "inside the tasks that use them."
        )
        raise FlowBuildError(msg) from error
    head = {"format": _FORMAT, "name": flow.name, "python": python_minor()}
    head["sha256"] = hashlib.sha256(data).hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(json.dumps(head).encode() + b"\n" + data)
    return str(target.absolute())


def load_flow_file(path: str | Path) -> Flow:
    """Read a flow from a file that ``save`` wrote, given by its path or by the flow's name.

    Reading runs code that is in the file: read only what you trust.

    Raises:
        NotFoundError: There is no such file.
        IntegrityError: It is no file of a flow, or damaged.
        FlowError: Another Python wrote it.
    """
    file = Path(path).expanduser()
    if not file.is_file() and not file.is_absolute():
        file = _place(str(path))
    if not file.is_file():
        msg = f"There is no flow in {file}. Write one with flow.save()."
        raise NotFoundError(msg)
    line, _, data = file.read_bytes().partition(b"\n")
    head = _read_head(line)
    if head.get("format") != _FORMAT or hashlib.sha256(data).hexdigest() != head.get("sha256"):
        msg = f"{file} is no file of a flow, or is damaged. Write it again with flow.save()."
        raise IntegrityError(msg)
    if head.get("python") != python_minor():
        msg = (
            f"{file} was written by Python {head.get('python')}, and this is {python_minor()}, "
            "which cannot read it. Run the script that builds the flow here, or that Python."
        )
        raise FlowError(msg)
    return cast("Flow", pickle.loads(data))  # noqa: S301 - the user's own file, as documented


def _read_head(line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        return {}
    return head if isinstance(head, dict) else {}


def _place(name: str) -> Path:
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "flow"
    return current_home() / "flows" / f"{safe}.flow"
