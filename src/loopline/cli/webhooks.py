"""``loopline webhooks``: who is told of what happens to registered models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from typing import TextIO

    from loopline.backend.protocol import Backend

__all__ = ["webhooks"]

EXAMPLE = "loopline webhooks create deploys https://ci.example/hooks --event model_version.created"


@click.command("list", epilog=epilog("loopline webhooks list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List webhooks, the oldest first, without their secrets."""
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListWebhooks

    found = backend.call(ListWebhooks())
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "NAME", "TELLS", "OF", "SIGNED", "STATUS"),
        [(each.webhook_id, each.name, each.url, ", ".join(each.events),
          "yes" if each.has_secret else "no", each.status.lower()) for each in found],
        empty=f"No webhooks yet. Make one: {EXAMPLE}",
    )  # fmt: skip


@click.command(epilog=epilog(EXAMPLE, f"{EXAMPLE} --secret-file hook.secret"))
@click.argument("name")
@click.argument("url")
@click.option(
    "--event",
    "events",
    multiple=True,
    required=True,
    help="Such as model_version.created; may be given several times.",
)
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--secret-file",
    type=click.File(),
    help="File with the secret that signs what is posted; - reads it from the input.",
)
@with_backend
def create(
    backend: Backend,
    *,
    name: str,
    url: str,
    events: tuple[str, ...],
    description: str,
    secret_file: TextIO | None,
    as_json: bool,
) -> None:
    """Tell URL of events from now on, by a POST that is tried until it is answered.

    A server posts them; `loopline server --allow-private-webhooks` also into its own network.
    """
    from loopline.cli.output import print_json, say
    from loopline.records.operations import CreateWebhook

    secret = secret_file.read().strip() if secret_file is not None else ""
    made = backend.call(
        CreateWebhook(
            name=name, url=url, events=list(events), description=description, secret=secret
        )
    )
    if as_json:
        print_json(made)
        return
    signed = "signed" if made.has_secret else "not signed"
    say(f"{made.name} ({made.webhook_id}) is told of {', '.join(made.events)}, {signed}.")


@click.command(epilog=epilog("loopline webhooks deliveries 0f4c2a9be3d4"))
@click.argument("webhook_id")
@with_backend
def deliveries(backend: Backend, *, webhook_id: str, as_json: bool) -> None:
    """Tell what a webhook was told, and what is still to be told, the newest first."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListWebhookDeliveries

    found = backend.call(ListWebhookDeliveries(webhook_id=webhook_id))
    if as_json:
        print_json(found)
        return
    print_table(
        ("WHEN", "EVENT", "STATUS", "TRIES", "ANSWER", "WHY"),
        [(ago(each.at_ms), each.event, each.status, each.tries,
          each.answer_status or "", each.error) for each in found],
        empty="Nothing has happened yet that it wants to know.",
    )  # fmt: skip


@click.command(epilog=epilog("loopline webhooks delete 0f4c2a9be3d4"))
@click.argument("webhook_id")
@with_backend
def delete(backend: Backend, *, webhook_id: str, as_json: bool) -> None:
    """Tell somebody of nothing more, and forget what is still to be told."""
    from loopline.cli.output import print_json, say
    from loopline.records.operations import DeleteWebhook

    gone = backend.call(DeleteWebhook(webhook_id=webhook_id))
    if as_json:
        print_json(gone)
    else:
        say(f"{gone.name} is told of nothing more.")


webhooks = LazyGroup(
    "webhooks",
    help="Tell others of what happens to registered models.",
    table={
        "list": (f"{__name__}:list_", "List webhooks, the oldest first, without their secrets."),
        "create": (
            f"{__name__}:create",
            "Tell URL of events from now on, by a POST that is tried until it is answered.",
        ),
        "deliveries": (
            f"{__name__}:deliveries",
            "Tell what a webhook was told, and what is still to be told, the newest first.",
        ),
        "delete": (
            f"{__name__}:delete",
            "Tell somebody of nothing more, and forget what is still to be told.",
        ),
    },
)
