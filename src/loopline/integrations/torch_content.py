"""What PyTorch's trainers have in common: numbers out of tensors, weights as safetensors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.integrations.session import Session

__all__ = ["first_of", "flat", "log_loader", "log_weights", "numbers", "stopping_params"]


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Take the single numbers out of a dict of tensors and other values."""
    found = {}
    for name, value in metrics.items():
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def flat(params: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401 - a dict or a namespace
    """Flatten nested params to keys such as ``optimizer/lr``."""
    if not hasattr(params, "items"):
        params = vars(params) if hasattr(params, "__dict__") else {}
    found: dict[str, Any] = {}
    for name, value in params.items():
        key = f"{prefix}/{name}" if prefix else str(name)
        if hasattr(value, "items"):
            found |= flat(value, key)
        else:
            found[key] = value
    return found


def log_loader(session: Session, loader: Any, context: str) -> None:  # noqa: ANN401
    """Describe the data behind a loader: tensors held in memory, or a Hugging Face dataset."""
    data = getattr(loader, "dataset", loader)
    fingerprint = getattr(data, "_fingerprint", None)
    if fingerprint is not None and hasattr(data, "features"):
        version = Dataset(
            name=f"{context} data",
            digest=str(fingerprint),
            rows=len(data),
            columns={str(key): str(kind) for key, kind in data.features.items()},
        )
        session.log_dataset(version, context)
        return
    tensors = getattr(data, "tensors", None)
    if isinstance(tensors, tuple) and tensors:
        session.log_data(*tensors[:2], context=context)


def log_weights(session: Session, model: Any, folder: str) -> None:  # noqa: ANN401 - a module
    """Log a module's weights as a safetensors file, which loads without running code.

    Raises:
        ImportError: The package safetensors is not installed.
    """
    from importlib import import_module

    save_model = import_module("safetensors.torch").save_model
    with tempfile.TemporaryDirectory(prefix="loopline-weights-") as parent:
        path = Path(parent) / "weights.safetensors"
        save_model(model, str(path))
        session.run.log_artifact(path, folder)


def first_of(loaders: Any) -> Any:  # noqa: ANN401 - one loader or several
    """Take the first of several loaders, or the one there is."""
    if isinstance(loaders, (list, tuple)):
        return loaders[0] if loaders else None
    return loaders


def stopping_params(callbacks: Iterable[Any]) -> dict[str, Any]:
    """Gather how early stopping is set, from a trainer's callbacks."""
    found: dict[str, Any] = {}
    for one in callbacks:
        if type(one).__name__ == "EarlyStopping":
            for name in ("monitor", "patience", "mode"):
                found[f"early_stopping_{name}"] = getattr(one, name, None)
            # Lightning keeps it with the sign of its mode.
            found["early_stopping_min_delta"] = abs(getattr(one, "min_delta", 0.0))
    return found
