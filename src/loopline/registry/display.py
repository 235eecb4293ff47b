"""How notebooks show registered models and their versions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loopline.records.registry import ModelVersion, Stage
from loopline.rules.words import (
    count_words,
    distance_words,
    number_words,
    size_words,
    time_words,
)
from loopline.tracking.display import Colored, box, facts_html, table_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.registry import RegisteredModel, VersionEvent

__all__ = ["history_html", "model_html", "models_html", "version_html", "versions_html"]

_STAGES: dict[str, str] = {
    Stage.NONE: "#7f7f7f",
    Stage.STAGING: "#b9770e",
    Stage.PRODUCTION: "#2a9154",
    Stage.ARCHIVED: "#7f7f7f",
}
#: Of a stage of a model's own.
_OWN = "#2f6fb0"
METRICS = 4


def model_html(model: RegisteredModel) -> str:
    """Show a registered model."""
    facts = [
        ("about", model.description),
        ("latest version", str(model.latest_version)),
        ("created", time_words(model.created_ms)),
        *((stage, f"version {version}") for stage, version in sorted(model.champions.items())),
        *((f"@{alias}", f"version {version}") for alias, version in sorted(model.aliases.items())),
    ]
    tags = facts_html(sorted(model.tags.items()), head="tags")
    return box("Model", model.name, facts_html(facts), tags)


def version_html(version: ModelVersion) -> str:
    """Show a version of a model, with what was measured of it when it was registered."""
    facts = [
        ("about", version.description),
        ("address", f"models:/{version.name}/{version.version}"),
        ("aliases", ", ".join(version.aliases)),
        ("run", version.run_id),
        ("size", size_words(version.size_bytes)),
        ("created", time_words(version.created_ms)),
        ("by", version.actor),
    ]
    metrics = [(key, number_words(value)) for key, value in sorted(version.metrics.items())]
    return box(
        "Model version",
        f"{version.name}, version {version.version}",
        Colored(version.stage, _STAGES.get(version.stage, _OWN)).html,
        facts_html(facts),
        facts_html(metrics, head="metrics"),
        facts_html(sorted(version.params.items()), head="params"),
        facts_html(sorted(version.tags.items()), head="tags"),
    )


def models_html(models: Sequence[RegisteredModel]) -> str:
    """Show registered models as a table."""
    now_ms = time.time_ns() // 1_000_000
    rows = [
        (
            model.name,
            model.latest_version,
            ", ".join(f"{stage}: {version}" for stage, version in sorted(model.champions.items())),
            distance_words(model.updated_ms, now_ms),
        )
        for model in models
    ]
    table = table_html(("model", "latest", "stages", "last change"), rows, numbers=("latest",))
    return box(count_words(len(models), "registered model"), "", table if rows else "")


def versions_html(versions: Sequence[ModelVersion]) -> str:
    """Show versions of a model as a table."""
    now_ms = time.time_ns() // 1_000_000
    metrics = sorted({key for version in versions for key in version.metrics})[:METRICS]
    names = {version.name for version in versions}
    several = len(names) > 1
    rows = [
        (
            *((version.name,) if several else ()),
            version.version,
            Colored(version.stage, _STAGES.get(version.stage, _OWN)),
            ", ".join(version.aliases),
            distance_words(version.created_ms, now_ms),
            version.actor,
            *(
                number_words(version.metrics[key]) if key in version.metrics else ""
                for key in metrics
            ),
        )
        for version in versions
    ]
    columns = (
        *(("model",) if several else ()),
        *("version", "stage", "aliases", "created", "by", *metrics),
    )
    table = table_html(columns, rows, numbers=("version", *metrics))
    title = "" if several or not versions else versions[0].name
    return box(count_words(len(versions), "version"), title, table if rows else "")


def history_html(events: Sequence[VersionEvent]) -> str:
    """Show who moved which version when and why."""
    rows = [
        (
            time_words(event.at_ms),
            event.version or "",
            event.kind,
            f"{event.before or 'none'} → {event.after or 'none'}",
            event.actor,
            event.reason,
        )
        for event in events
    ]
    columns = ("when", "version", "what", "from and to", "by", "why")
    table = table_html(columns, rows, numbers=("version",))
    return box(
        count_words(len(events), "event"), events[0].name if events else "", table if rows else ""
    )
