"""``loopline.autolog()``: every library that Loopline can follow, each when it is imported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LIBRARIES", "autolog"]

#: Libraries that can be followed.
LIBRARIES = ("keras", "lightgbm", "lightning", "optuna", "sklearn", "transformers", "xgboost")


def autolog(  # noqa: PLR0913 - MLflow's names
    *,
    log_input_examples: bool | None = None,
    log_model_signatures: bool | None = None,
    log_models: bool | None = None,
    log_datasets: bool | None = None,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool | None = None,
    silent: bool | None = None,
    exclude_flavors: Iterable[str] = (),
    disable: bool = False,
) -> None:
    """Log every training from now on, whichever library does it; nothing is imported for it.

    A library that was turned on by its own ``autolog`` before keeps the choices made there.
    What is left None here is as that library has it by default.

    Args:
        log_input_examples: Keep the first rows beside the model.
        log_model_signatures: Infer what the model takes and gives from the first rows.
        log_models: Log the fitted model.
        log_datasets: Log the data as data versions; hashes every value once.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        exclude_flavors: Libraries to leave alone, such as ``["optuna"]``.
        disable: Turn all of them off, however they were turned on.

    Raises:
        InvalidInputError: For a library that is not among those Loopline can follow.

    Example:
        >>> loopline.autolog()
    """
    excluded = set(exclude_flavors)
    unknown = excluded.difference(LIBRARIES)
    if unknown:
        msg = (
            f"exclude_flavors names {', '.join(sorted(unknown))}. Loopline follows "
            f"{', '.join(LIBRARIES)}."
        )
        raise InvalidInputError(msg)
    given = {
        "log_input_examples": log_input_examples,
        "log_model_signatures": log_model_signatures,
        "log_models": log_models,
        "log_datasets": log_datasets,
        "extra_tags": extra_tags,
        "exclusive": exclusive,
        "silent": silent,
    }
    for library in LIBRARIES:
        if library in excluded:
            continue
        module: Any = import_module(f"loopline.integrations.{library}")
        integration = module.integration
        if disable:
            module.autolog(disable=True)
        elif not integration.is_on or integration.by_default:
            takes = module.autolog.__kwdefaults__
            module.autolog(
                **{
                    name: value
                    for name, value in given.items()
                    if value is not None and name in takes
                }
            )
            integration.by_default = True
