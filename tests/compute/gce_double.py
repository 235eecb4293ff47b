"""A small double of Compute Engine: its REST interface, and machines that are process groups here.

A machine boots by running its start-up script with bash; ``shutdown`` stops it. Requests need an
access token, which is given for an assertion signed with the service account's real key.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = ["ComputeEngine"]

PROJECT, ZONE = "wagoncab", "europe-west1-b"
EMAIL = f"loopline@{PROJECT}.iam.gserviceaccount.com"
ACCESS = "ya29.of-the-double"

_SHUTDOWN = """\
#!/bin/bash
# The time of a machine is kept by the double; now means now.
[ "$1" = -P ] && [ "$2" = now ] && touch {folder}/stopped
exit 0
"""


class Machine(NamedTuple):
    """An instance."""

    body: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes]
    until: float

    @property
    def status(self) -> str:
        if (self.folder / "stopped").exists() or self.process.poll() is not None:
            return "TERMINATED"
        return "RUNNING"


class ComputeEngine:
    """The double, on a port of its own.

    Attributes:
        made: Names of all machines there ever were.
        deleted: Names of those that were deleted.
        insert_takes_s: How long a machine is being made before anybody is answered.
        refuse: How many requests for machines are refused from now on, as for a quota.
        environment: What machines have in their environment besides.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self.made: list[str] = []
        self.deleted: list[str] = []
        self.refuse = 0
        self.insert_takes_s = 0.0
        self.environment: dict[str, str] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                status, answer = outer.answer(
                    self.command, self.path, dict(self.headers.items()), body
                )
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                with suppress(OSError):  # Whoever asked was killed.
                    self.send_response(status)
                    kind = "text/plain" if isinstance(answer, str) else "application/json"
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._closing = threading.Event()
        self._clock = threading.Thread(target=self._keep_time, daemon=True)
        self._clock.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write_key(self, path: Path) -> Path:
        """Write the key file of the service account, as Google's console gives it."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": PROJECT,
                    "client_email": EMAIL,
                    "private_key": pem,
                }
            )
        )
        return path

    def names(self) -> list[str]:
        """List the machines that there are, also the stopped ones: they cost something."""
        with self._lock:
            return sorted(self._machines)

    def script(self, name: str) -> str:
        return (self._folder / name / "script").read_text()

    def console(self, name: str) -> str:
        return (self._folder / name / "console").read_text(errors="replace")

    def consoles(self) -> list[Path]:
        return sorted(self._folder.glob("*/console"))

    def kill(self, name: str) -> None:
        """Take a machine back, as clouds do with spot machines; without a word."""
        with self._lock:
            machine = self._machines[name]
        (machine.folder / "stopped").touch()
        _kill(machine.process)

    def close(self) -> None:
        self._closing.set()
        self._clock.join()
        for name in self.names():
            self._delete(name)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- requests ----------------------------------------------------------------------------

    def answer(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        where = urlsplit(url)
        if where.path.endswith("/o/oauth2/token"):
            return self._sign_in(parse_qs(body.decode()))
        if where.path.startswith("/computeMetadata/v1/instance/"):
            if where.path.endswith("/token"):
                return 200, {"access_token": ACCESS, "expires_in": 3600}
            return 200, f"projects/{PROJECT}/zones/{ZONE}"
        if headers.get("Authorization") != f"Bearer {ACCESS}":
            return _error(401, "required", "Login Required.")
        found = re.match(rf"/compute/v1/projects/{PROJECT}/zones/{ZONE}/(.*)", where.path)
        if found is None:
            return _error(404, "notFound", f"{where.path} is not served here")
        return self._zone(method, found[1], parse_qs(where.query), body)

    def _zone(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, Any]:
        kind, _, rest = path.partition("/")
        if kind == "operations":
            return 200, self._operation()
        if method == "POST" and path == "instances":
            return self._insert(json.loads(body))
        if method == "GET" and path == "instances":
            label = query.get("filter", [""])[0]
            assert label in {"", "labels.loopline-store:*"}, label
            with self._lock:
                items = [
                    {"name": name, "status": machine.status, "labels": machine.body["labels"]}
                    for name, machine in self._machines.items()
                ]
            return 200, {"items": items} if items else {}
        name, _, part = rest.partition("/")
        if name not in self.names():
            return _error(404, "notFound", f"The resource 'instances/{name}' was not found")
        if method == "GET" and part == "serialPort":
            return 200, {"contents": self.console(name)}
        if method == "DELETE":
            self._delete(name)
            return 200, self._operation()
        return _error(405, "notAllowed", method)

    def _sign_in(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        head, claims, signature = form["assertion"][0].split(".")
        try:
            self._key.public_key().verify(
                base64.urlsafe_b64decode(signature + "=="),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except Exception:  # noqa: BLE001 - whatever is wrong with it
            return 400, {"error": "invalid_grant"}
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"] == EMAIL
        return 200, {"access_token": ACCESS, "expires_in": 3600, "token_type": "Bearer"}

    def _operation(self) -> dict[str, Any]:
        path = f"/compute/v1/projects/{PROJECT}/zones/{ZONE}/operations/operation-1"
        link = f"https://www.googleapis.com{path}"  # As Google's own, wherever it was asked.
        return {"status": "DONE", "name": "operation-1", "selfLink": link}

    # --- machines ----------------------------------------------------------------------------

    def _insert(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["name"]
        if not re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
            return _error(400, "invalid", f"Invalid value for field 'resource.name': '{name}'")
        with self._lock:
            if self.refuse:
                self.refuse -= 1
                return _error(403, "quotaExceeded", "Quota 'CPUS' exceeded.")
            if name in self._machines:
                return _error(409, "alreadyExists", f"The resource '{name}' already exists")
            self._machines[name] = self._boot(name, body)
            self.made.append(name)
        time.sleep(self.insert_takes_s)
        return 200, self._operation()

    def _boot(self, name: str, body: dict[str, Any]) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        shim = folder / "shutdown"
        shim.write_text(_SHUTDOWN.format(folder=folder))
        shim.chmod(0o755)
        (script,) = [
            item["value"] for item in body["metadata"]["items"] if item["key"] == "startup-script"
        ]
        (folder / "script").write_text(script)
        path = f"{folder}:{os.environ['PATH']}"
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                ["/bin/bash", str(folder / "script")],
                cwd=folder,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": path,
                    "HOME": str(folder),
                    "TMPDIR": str(folder),
                    "GCE_METADATA_HOST": f"127.0.0.1:{self.port}",
                    "LOOPLINE_GCE_API": self.url,
                    "no_proxy": "127.0.0.1",
                    **self.environment,
                },
                start_new_session=True,
            )
        until = time.monotonic() + int(body["scheduling"]["maxRunDuration"]["seconds"])
        return Machine(body, folder, process, until)

    def _delete(self, name: str) -> None:
        with self._lock:
            machine = self._machines.pop(name, None)
        if machine is not None:
            self.deleted.append(name)
            _kill(machine.process)

    def _keep_time(self) -> None:
        while not self._closing.wait(0.1):
            for name in self.names():
                machine = self._machines.get(name)
                if machine is not None and time.monotonic() > machine.until:
                    self._delete(name)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a machine: the script, and what its worker started in sessions of its own."""
    children = _descendants(process.pid)
    for pid in [process.pid, *children]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _error(status: int, reason: str, message: str) -> tuple[int, Any]:
    errors = [{"reason": reason, "message": message, "domain": "global"}]
    return status, {"error": {"code": status, "message": message, "errors": errors}}
