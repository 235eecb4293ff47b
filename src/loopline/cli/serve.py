"""``loopline serve``: models that answer over HTTP."""

from __future__ import annotations

from typing import Any

import click

from loopline.cli import options
from loopline.cli.machine import machine_options
from loopline.serving import DEFAULT_PORT

__all__ = ["serve"]


def _share(_context: click.Context, _option: click.Parameter, value: str) -> float:
    """Read a share: all, none, 0.1 or 10%."""
    if value in {"all", "none"}:
        return float(value == "all")
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        msg = f"{value!r} is no share. Write all, none, 0.1 or 10%."
        raise click.BadParameter(msg)
    return share


def _split(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[str, float] | None:
    """Read a challenger and its share."""
    if value is None:
        return None
    address, found, share = value.rpartition("=")
    if not found:
        msg = f"{value!r} says no share. Write models:/taxifare_model/Staging=10%."
        raise click.BadParameter(msg)
    return address, _share(context, option, share)


@click.command(
    epilog=options.epilog(
        "loopline serve models:/taxifare_model/Production",
        "loopline serve models:/taxifare_model@champion --port 8080",
        "loopline serve models:/taxifare_model/Production --record 0.1",
        "loopline serve models:/taxifare_model/Production --shadow models:/taxifare_model/Staging",
        "loopline serve models:/taxifare_model/Production --on vm --size e2-small --port 8080",
        "loopline serve fares=models:/taxifare_model/3 ./another/model/folder",
    )
)
@click.option(
    "--on",
    "where",
    default="here",
    show_default=True,
    type=click.Choice(["here", "vm"]),
    help="Here, or a machine of its own that a worker starts in a cloud.",
)
@machine_options
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@options.uri
@options.blobs
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--tls",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False),
    metavar="CERTIFICATE KEY",
    help="Speak TLS with a certificate and its key, in PEM files.",
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond this machine although anybody may then ask."
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME:PORT",
    help="Answer to this name too, such as the one that a proxy passes on.",
)
@click.option(
    "--allow-pickle", is_flag=True, help="Run code from models' files, where their format needs it."
)
@click.option(
    "--batch/--no-batch",
    "can_batch",
    default=None,
    help="Gather rows of several requests into one question; default: for all but models of your "
    "own Python, or as the model's metadata say (batching: true).",
)
@click.option(
    "--batch-rows",
    default=256,
    show_default=True,
    type=click.IntRange(1),
    help="Rows of one question, at most.",
)
@click.option(
    "--batch-window-ms",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Milliseconds that a free model waits for others, where many ask at a time.",
)
@click.option(
    "--timeout",
    "timeout_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds until a request is told that it takes too long.",
)
@click.option(
    "--max-waiting",
    default=1024,
    show_default=True,
    type=click.IntRange(1),
    help="Requests that may wait for a model; others are told to come again.",
)
@click.option(
    "--max-body-mb", default=64, show_default=True, type=click.IntRange(1), help="Of one request."
)
@click.option(
    "--watch",
    "watch_every_s",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.05),
    help="Seconds between two looks for a newly promoted version.",
)
@click.option(
    "--record",
    default="none",
    show_default=True,
    metavar="SHARE",
    callback=_share,
    help="Keep predictions as records: all, none, or a share of the requests such as 0.1.",
)
@click.option(
    "--id-column",
    default="",
    metavar="NAME",
    help="Column of the rows, such as trip_id, that names their predictions in the records; the "
    "model does not see it.",
)
@click.option(
    "--shadow",
    default="",
    metavar="ADDRESS",
    help="Also ask this challenger, and compare; it answers nobody.",
)
@click.option(
    "--split",
    metavar="ADDRESS=SHARE",
    callback=_split,
    help="Have this challenger answer a share of the requests, such as "
    "models:/taxifare_model/Staging=10%.",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Threads of numerical libraries for one question; more pay for large models only.",
)
@click.option("--as-version", default="", hidden=True, help="Version of a folder's model.")
@options.as_json
@click.pass_context
def serve(  # noqa: PLR0913 - its options
    context: click.Context,
    /,
    *,
    where: str,
    addresses: tuple[str, ...],
    uri: str | None,
    host: str,
    port: int,
    tls: tuple[str, str] | None,
    insecure: bool,
    allowed_hosts: tuple[str, ...],
    allow_pickle: bool,
    can_batch: bool | None,
    batch_rows: int,
    batch_window_ms: float,
    timeout_s: float,
    max_waiting: int,
    max_body_mb: int,
    watch_every_s: float,
    record: float,
    id_column: str,
    shadow: str,
    split: tuple[str, float] | None,
    threads: int,
    as_version: str,
    as_json: bool,
    **machine: Any,  # noqa: ANN401 - as `machine_options` has them
) -> None:
    """Serve models over HTTP, by MLflow's scoring protocol.

    An ADDRESS is models:/NAME/STAGE, models:/NAME/3, models:/NAME@ALIAS, runs:/RUN_ID/model or a
    folder. Another version that is moved to the stage or alias takes over within a second, and no
    request fails. Ctrl-C or SIGTERM stops it; requests in hand are finished first.
    """
    from loopline.backend.recorder import set_tracking_uri
    from loopline.cli.logs import log_to_stderr
    from loopline.cli.output import print_json
    from loopline.serving.engine import Limits
    from loopline.serving.serve import serve as run

    log_to_stderr()
    if uri:
        set_tracking_uri(uri)
    if where == "vm":
        from loopline.cli.serve_on_vm import given_options, serve_on_vm

        if tls:
            msg = "--tls names files of this machine. Put a proxy in front of the one in the cloud."
            raise click.UsageError(msg)
        own = {"where", "uri", "blobs", "as_json", *machine}
        flow_run_id = serve_on_vm(addresses, given_options(context, own), machine, uri)
        if as_json:
            print_json({"flow_run_id": flow_run_id})
        else:
            click.echo(f"Flow run {flow_run_id} waits for a worker. Its log says when it answers: "
                       f"loopline flow-runs logs {flow_run_id}")  # fmt: skip
        return

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url, "models": list(addresses)})
        else:
            click.echo(f"Loopline serves {', '.join(addresses)} at {url} (Ctrl-C stops it)")

    run(
        addresses,
        host=host,
        port=port,
        insecure=insecure,
        allowed_hosts=allowed_hosts,
        tls=tls,
        allow_pickle=allow_pickle,
        can_batch=can_batch,
        limits=Limits(
            batch_rows=batch_rows,
            window_s=batch_window_ms / 1000,
            timeout_s=timeout_s,
            waiting=max_waiting,
        ),
        most_body_bytes=max_body_mb * 1024**2,
        watch_every_s=watch_every_s,
        record=record,
        id_column=id_column,
        shadow=shadow,
        split=split,
        threads=threads,
        as_version=as_version,
        on_ready=ready,
    )
