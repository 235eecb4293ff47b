"""A server that asks who everybody is, and the people of its team."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.server.running import Answer, ask, running

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.server.wire import JSON, encode
from loopline.settings import Address
from loopline.store.sign_in import set_password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PASSWORD", "Team", "team_at"]

PASSWORD = "yellow cabs turn left"  # noqa: S105 - of a user of the tests


class Team:
    """A served store with authentication.

    Attributes:
        url: Of the server.
        owner: The store itself, past the server.
    """

    def __init__(self, url: str, owner: LocalBackend) -> None:
        self.url = url
        self.owner = owner

    def user(self, name: str, role: str = "none", *, password: bool = False) -> None:
        """Make a user."""
        self.owner.call(ops.AddUser(name=name, role=role))
        if password:
            set_password(self.owner.store, name, PASSWORD, by="the test")

    def token(self, name: str, scope: str = "admin") -> str:
        """Make a token of a user."""
        return self.owner.call(ops.CreateToken(user=name, scope=scope)).secret

    def member(self, name: str, role: str = "none", scope: str = "admin") -> str:
        """Make a user with a token; returns the token."""
        self.user(name, role)
        return self.token(name, scope)

    def grant(self, user: str, thing: str, name: str, role: str) -> None:
        """Give a role on one thing."""
        self.owner.call(ops.SetGrant(user=user, thing=thing, name=name, role=role))

    def call(self, token: str, operation: Any, key: str = "") -> tuple[int, Any]:  # noqa: ANN401
        """Ask an operation over HTTP; returns status and answer."""
        headers = {"Content-Type": JSON, "Authorization": f"Bearer {token}"}
        if key:
            headers["Idempotency-Key"] = key
        path = f"/api/v1/ops/{ops.name_of(type(operation))}"
        answer = ask(self.url, "POST", path, encode(operation, JSON), headers)
        return answer.status, json.loads(answer.body)

    def get(self, path: str, token: str = "", **headers: str) -> Answer:
        """Get a path, with a token or without."""
        signed = {"Authorization": f"Bearer {token}"} if token else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.url, "GET", path, headers={**signed, **named})

    def mlflow(
        self, method: str, path: str, body: dict[str, Any], **headers: str
    ) -> tuple[int, Any]:
        """Send a request of MLflow's protocol."""
        sent = {"Content-Type": JSON, **headers}
        path = f"/api/2.0/mlflow/{path}"
        answer = ask(self.url, method, path, json.dumps(body).encode(), sent)
        return answer.status, json.loads(answer.body)


@contextmanager
def team_at(folder: Path, **options: Any) -> Iterator[Team]:  # noqa: ANN401 - as of `serve`
    """Serve a new home to its users."""
    address = Address("home", str(folder / ".loopline"))
    owner = LocalBackend(address)
    try:
        with running(address, auth=True, **options) as url:
            yield Team(url, owner)
    finally:
        owner.close()
