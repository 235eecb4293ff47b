"""``loopline server``: the API and the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from loopline.cli import options
from loopline.server import DEFAULT_HOST, DEFAULT_PORT
from loopline.settings import tracking_address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["listening", "server", "tell_set_up"]

F = TypeVar("F", bound="Callable[..., Any]")


def listening(command: F) -> F:
    """Give a command the options of a server."""
    for option in reversed(
        (
            click.option(
                "--host", default=DEFAULT_HOST, show_default=True, help="Where to listen."
            ),
            click.option(
                "--port",
                default=DEFAULT_PORT,
                show_default=True,
                type=click.IntRange(0, 65_535),
                help="Port to listen on; 0 takes any free one.",
            ),
            click.option(
                "--auth",
                is_flag=True,
                help="Ask who everybody is; the first start prints a link that makes the first "
                "administrator.",
            ),
            click.option(
                "--public-url",
                default="",
                metavar="URL",
                help="How others reach it, such as https://ml.example.com behind a proxy.",
            ),
            click.option(
                "--tls",
                nargs=2,
                type=click.Path(exists=True, dir_okay=False),
                metavar="CERTIFICATE KEY",
                help="Speak TLS with a certificate and its key, in PEM files.",
            ),
            click.option(
                "--insecure",
                is_flag=True,
                help="Listen beyond this machine although anybody may then do everything.",
            ),
            click.option(
                "--allow-host",
                "allowed_hosts",
                multiple=True,
                metavar="NAME:PORT",
                help="Answer to this name too, such as the one of an SSH tunnel.",
            ),
            click.option(
                "--allow-private-webhooks",
                is_flag=True,
                help="Let webhooks lead to this machine and its networks, and by http.",
            ),
        )
    ):
        command = option(command)
    return command


def tell_set_up(link: str) -> None:
    """Print the link that makes the first administrator: on stderr, for people."""
    click.echo(
        "Nobody can sign in yet. Open this link to become the administrator; it works once, for a "
        f"day:\n  {link}",
        err=True,
    )


@click.command(
    epilog=options.epilog(
        "loopline server",
        "loopline server --port 0",
        "loopline server --uri ~/taxifare/.loopline",
        "loopline server --auth --host 0.0.0.0 --public-url https://ml.example.com",
    )
)
@options.uri
@options.blobs
@listening
@options.as_json
def server(  # noqa: PLR0913 - its options
    *,
    uri: str | None,
    host: str,
    port: int,
    insecure: bool,
    auth: bool,
    public_url: str,
    tls: tuple[str, str] | None,
    allowed_hosts: tuple[str, ...],
    allow_private_webhooks: bool,
    as_json: bool,
) -> None:
    """Serve the API and the web pages.

    It makes due flow runs and closes lost runs by itself. Ctrl-C or SIGTERM stops it; requests in
    hand are finished first. With --json, one line with its URL says that it is ready.
    """
    from loopline.cli.logs import log_to_stderr
    from loopline.cli.output import print_json
    from loopline.server.arenas import bound_arenas
    from loopline.server.serve import serve

    bound_arenas()
    address = tracking_address(uri)
    log_to_stderr()

    def ready(url: str) -> None:
        if as_json:
            print_json({"url": url, "store": str(address)})
        else:
            click.echo(f"Loopline serves {address} at {url} (Ctrl-C stops it)")

    serve(
        address,
        host=host,
        port=port,
        insecure=insecure,
        auth=auth,
        public_url=public_url,
        tls=tls,
        allowed_hosts=allowed_hosts,
        allow_private_webhooks=allow_private_webhooks,
        on_ready=ready,
        on_set_up=tell_set_up,
    )
