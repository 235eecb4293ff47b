"""``loopline models logged``: logged models, found by a filter, shown and deleted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, limit, with_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.logged_models import LoggedModel

__all__ = ["delete", "list_", "logged", "show"]

#: Metrics that get a column.
MOST_METRICS = 3


@click.command(
    epilog=epilog(
        "loopline models logged list",
        "loopline models logged list \"metrics.rmse < 4 AND params.depth = '7'\"",
        "loopline models logged list --experiment taxifare --order-by 'metrics.rmse ASC'",
    )
)
@click.argument("text", metavar="[FILTER]", default="")
@with_backend
@click.option("--experiment", "names", multiple=True, metavar="NAME", help="Only there.")
@click.option(
    "--order-by",
    multiple=True,
    metavar="KEY [ASC|DESC]",
    help="What comes first; may be repeated.",
)
@limit
def list_(
    backend: Backend,
    *,
    text: str,
    names: Sequence[str],
    order_by: Sequence[str],
    limit: int,
    as_json: bool,
) -> None:
    """List logged models, or find them by a filter."""
    from loopline.cli.output import print_json, say
    from loopline.records.operations import GetExperiment, SearchLoggedModels
    from loopline.tracking.logged_models import orders_of

    ids = [backend.call(GetExperiment(name=name)).experiment_id for name in names]
    page = backend.call(
        SearchLoggedModels(
            experiment_ids=ids,
            filter=text,
            order_by=orders_of(order_by),
            max_results=min(limit, 1_000),
        )
    )
    if as_json:
        print_json(page.models)
        return
    _print(page.models, is_search=bool(text or names))
    if page.next_page_token:
        say("There are more: --limit shows them, or a closer filter.")


def _print(found: Sequence[LoggedModel], *, is_search: bool) -> None:
    from loopline.cli.output import ago, print_table
    from loopline.rules.shown import frequent_keys
    from loopline.rules.words import number_words

    measured = [{point.key: point.value for point in model.metrics} for model in found]
    keys = frequent_keys(measured, MOST_METRICS)
    print_table(
        ("ID", "NAME", "TYPE", "STATUS", *keys, "LOGGED", "RUN"),
        [
            (
                model.model_id,
                model.name,
                model.model_type,
                model.status.value,
                *(number_words(values[key]) if key in values else "" for key in keys),
                ago(model.created_ms),
                model.source_run_id[:8],
            )
            for model, values in zip(found, measured, strict=True)
        ],
        empty=(
            "No logged model is like that."
            if is_search
            else "No logged models yet. MLflow 3's log_model makes one."
        ),
        right=keys,
    )


@click.command(epilog=epilog("loopline models logged show m-5f2c…"))
@click.argument("model_id", metavar="ID")
@with_backend
def show(backend: Backend, *, model_id: str, as_json: bool) -> None:
    """Show a logged model: what it is, what was measured on it, and its files."""
    from loopline.cli.output import ago, print_facts, print_json, print_table
    from loopline.records.operations import GetLoggedModel, ListLoggedModelFiles
    from loopline.rules.words import number_words, size_words

    model = backend.call(GetLoggedModel(model_id=model_id))
    files = backend.call(ListLoggedModelFiles(model_id=model_id, recursive=True))
    if as_json:
        print_json({"model": model, "files": files})
        return
    print_facts(
        [
            ("Logged model", model.model_id),
            ("Name", model.name),
            ("Type", model.model_type),
            ("Status", f"{model.status.value} {model.status_message}".strip()),
            ("Experiment", model.experiment_id),
            ("Run", model.source_run_id),
            ("Logged", ago(model.created_ms)),
            ("Versions", "\n".join(f"{name} v{version}" for name, version in model.registrations)),
            ("Params", _texts(model.params)),
            ("Tags", _texts(model.tags)),
            ("Address", f"models:/{model.model_id}"),
        ]
    )
    click.echo()
    print_table(
        ("METRIC", "VALUE", "STEP", "DATA", "RUN"),
        [
            (
                point.key,
                number_words(point.value),
                point.step,
                f"{point.dataset_name} {point.dataset_digest[:8]}".strip(),
                point.run_id[:8],
            )
            for point in model.metrics
        ],
        empty="Nothing was measured on it.",
        right=("VALUE", "STEP"),
    )
    click.echo()
    print_table(
        ("FILE", "SIZE"),
        [(file.path, size_words(file.size_bytes)) for file in files],
        empty="It has no files.",
        right=("SIZE",),
    )


def _texts(texts: dict[str, str]) -> str:
    return "\n".join(f"{key}={value}" for key, value in sorted(texts.items()))


@click.command(epilog=epilog("loopline models logged delete m-5f2c…"))
@click.argument("model_id", metavar="ID")
@with_backend
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(backend: Backend, *, model_id: str, yes: bool, as_json: bool) -> int:
    """Delete a logged model; versions that were registered from it keep their files."""
    from loopline.cli.output import print_json, say
    from loopline.records.operations import DeleteLoggedModel, GetLoggedModel

    model = backend.call(GetLoggedModel(model_id=model_id))
    if not yes:
        if not sys.stdin.isatty():
            say(
                f"Nothing was deleted. To delete it: loopline models logged delete {model_id} --yes"
            )
            return 1
        if not click.confirm(f"Delete {model.name} ({model_id})?"):
            return 1
    deleted = backend.call(DeleteLoggedModel(model_id=model_id))
    if as_json:
        print_json(deleted)
    else:
        click.echo(f"{model.name} ({model_id}) is deleted.")
        say("Its room is freed by `loopline gc --deleted-for DAYS`.")
    return 0


logged = LazyGroup(
    "logged",
    help="Look at logged models, which need not be registered.",
    table={
        "list": (f"{__name__}:list_", "List logged models, or find them by a filter."),
        "show": (
            f"{__name__}:show",
            "Show a logged model: what it is, what was measured on it, and its files.",
        ),
        "delete": (
            f"{__name__}:delete",
            "Delete a logged model; versions that were registered from it keep their files.",
        ),
    },
)
