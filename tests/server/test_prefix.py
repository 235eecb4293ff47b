"""A proxy may show the server below a path: every address that goes out has it before it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.reliability.serving import free_port
from tests.server import story
from tests.server.running import ask, running
from tests.server.test_pages import PATHS

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.settings import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "/data/ml"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the story below a prefix; gives the server's address without it."""
    home = Address("home", str(tmp_path_factory.mktemp("prefix") / ".loopline"))
    backend = LocalBackend(home)
    story.fill(backend, tmp_path_factory.mktemp("files"))
    backend.close()
    port = free_port()
    with running(home, port=port, public_url=f"http://127.0.0.1:{port}{PREFIX}/") as url:
        yield url


def addresses(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src|action)="(/[^"#]*)', page))


@pytest.mark.parametrize("path", PATHS)
def test_every_address_in_a_page_leads_below_the_prefix(root: str, path: str) -> None:
    page = ask(root, "GET", PREFIX + path)
    assert page.status == 200
    found = addresses(page.text)
    assert found
    for address in found:
        assert address.startswith(f"{PREFIX}/"), address
        assert ask(root, "GET", address.replace("&amp;", "&")).status == 200, address


def test_a_proxy_may_take_the_prefix_off(root: str) -> None:
    assert ask(root, "GET", "/runs").text == ask(root, "GET", f"{PREFIX}/runs").text
    assert ask(root, "GET", PREFIX).status == 200
    assert ask(root, "GET", "/data/mlx").status == 404


def test_clients_work_below_the_prefix(root: str) -> None:
    backend = HttpBackend(parse_address(root + PREFIX))
    assert backend.call(ops.GetModel(name=story.MODEL)).name == story.MODEL
    backend.close()
    found = ask(root, "GET", f"{PREFIX}/api/2.0/mlflow/registered-models/search")
    assert found.status == 200


def test_who_must_sign_in_is_led_there_and_back(tmp_path: Path) -> None:
    port = free_port()
    links: list[str] = []
    with running(
        Address("home", str(tmp_path)), port=port, auth=True, on_set_up=links.append,
        public_url=f"http://127.0.0.1:{port}{PREFIX}",
    ) as url:  # fmt: skip
        asked = ask(url, "GET", f"{PREFIX}/runs?page=2")
        assert asked.status == 303
        assert asked.headers["Location"] == f"{PREFIX}/login?next=/runs%3Fpage%3D2"
        assert ask(url, "GET", asked.headers["Location"]).status == 200
        (link,) = links
        assert link.startswith(f"http://127.0.0.1:{port}{PREFIX}/set-up?link=")
        assert ask(url, "GET", link.removeprefix(f"http://{urlsplit(link).netloc}")).status == 200


@pytest.mark.parametrize("wrong", ["https://x/a b", "https://x/%2e", "https://x/a?b", "ftp://x"])
def test_a_prefix_is_plain(tmp_path: Path, wrong: str) -> None:
    from loopline.server.serve import serve

    with pytest.raises(InvalidInputError, match="no address of a server"):
        serve(Address("home", str(tmp_path)), port=0, public_url=wrong)
