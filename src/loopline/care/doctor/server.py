"""Looking at a server: does it answer, is it ours, and does its clock agree?"""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from loopline.care.doctor.findings import fine, problem, warning
from loopline.rules.words import duration_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.care.doctor.findings import Finding

__all__ = ["examine_server"]

WAIT_S = 10.0
SKEW_S = 5.0
SLOW_S = 1.0


def examine_server(url: str) -> Iterator[Finding]:
    """Ask a server how it is."""
    try:
        took_s, answer, body = _ask(url, "/health")
        if answer.status == http.client.OK:
            _, answer, body = _ask(url, "/version")
    except (OSError, http.client.HTTPException) as error:
        yield problem(
            "server.answers",
            f"{url} does not answer: {str(error) or type(error).__name__}.",
            "What is logged waits in the journals of this machine; nothing can be read.",
            f"Is it running there (`loopline server`), and does the network let you: curl {url}",
        )
        return
    said = _decoded(body)
    if answer.status != http.client.OK or said.get("name") != "loopline":
        yield problem(
            "server.ours",
            f"{url} answers with status {answer.status}, and not as a Loopline server does.",
            "Nothing can be recorded there.",
            f"Check the address. Try: curl {url}/version",
        )
        return
    yield fine("server.answers", f"{url} is Loopline {said.get('version')}.")
    if took_s > SLOW_S:
        yield warning(
            "server.slow",
            f"It took {duration_words(took_s * 1000)} to answer.",
            "Logging does not wait for it, but reading does.",
            "Look at the load there, and at the network between.",
        )
    yield from _clock(answer)


def _ask(url: str, path: str) -> tuple[float, http.client.HTTPResponse, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=WAIT_S)
    try:
        began = time.monotonic()
        connection.request("GET", f"{parts.path}{path}", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(65536)
        return time.monotonic() - began, answer, body
    finally:
        connection.close()


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _clock(answer: http.client.HTTPResponse) -> Iterator[Finding]:
    date = answer.getheader("Date")
    if not date:
        return
    skew_s = parsedate_to_datetime(date).timestamp() - time.time()
    if abs(skew_s) > SKEW_S:
        yield warning(
            "server.clock",
            f"Its clock is {duration_words(abs(skew_s) * 1000)} "
            f"{'ahead of' if skew_s > 0 else 'behind'} this machine's.",
            "Times of runs from both do not fit together; their order does.",
            "Set both by NTP.",
        )
    else:
        yield fine("server.clock", "Its clock agrees with this machine's.")
