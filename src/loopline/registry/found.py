"""Lists of models and versions that show well in a notebook."""

from __future__ import annotations

from loopline.records.base import DRAWN
from loopline.records.registry import ModelVersion, RegisteredModel, VersionEvent
from loopline.tracking.found import Found

__all__ = ["Events", "Models", "Versions"]


class Models(Found[RegisteredModel]):
    """Registered models."""

    def _repr_html_(self) -> str:
        from loopline.registry.display import models_html

        return models_html(self)


class Versions(Found[ModelVersion]):
    """Versions of registered models."""

    def _repr_html_(self) -> str:
        from loopline.registry.display import versions_html

        return versions_html(self)


class Events(list[VersionEvent]):
    """Who moved which version when."""

    def _repr_html_(self) -> str:
        from loopline.registry.display import history_html

        return history_html(self)


def _model_html(model: RegisteredModel) -> str:
    from loopline.registry.display import model_html

    return model_html(model)


def _version_html(version: ModelVersion) -> str:
    from loopline.registry.display import version_html

    return version_html(version)


# Single records show themselves as well; what draws them is imported when that happens.
DRAWN[RegisteredModel] = _model_html
DRAWN[ModelVersion] = _version_html
