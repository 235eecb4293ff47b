"""What people can choose about automatic logging, with MLflow's names where it has them."""

from __future__ import annotations

from typing import Any

from loopline.records.base import Record

__all__ = ["Options"]


class Options(Record, frozen=True, kw_only=True):
    """The choices that every library has.

    Attributes:
        log_models: Log the fitted model, in a format that is safe to load where there is one.
        log_datasets: Log the data as data versions; hashes every value once.
        log_input_examples: Keep the first rows beside the model.
        log_model_signatures: Infer what the model takes and gives from the first rows.
        registered_model_name: Register each logged model as the next version of this one.
        extra_tags: Set on every run that automatic logging starts or writes to.
        exclusive: Leave runs alone that the user started: a fit inside one is not logged.
        silent: Keep warnings about what could not be logged to ourselves.
    """

    log_models: bool = True
    log_datasets: bool = True
    log_input_examples: bool = False
    log_model_signatures: bool = True
    registered_model_name: str | None = None
    extra_tags: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    exclusive: bool = False
    silent: bool = False
