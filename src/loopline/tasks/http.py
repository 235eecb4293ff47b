"""HTTP requests as tasks."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from loopline.errors import InvalidInputError
from loopline.flows.signals import FAIL
from loopline.flows.task import Task
from loopline.records.base import Record
from loopline.settings import expanded
from loopline.tasks.given import needed, pause

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HttpAnswer", "HttpRequest", "ask"]

#: Too early, too many, or the server's own trouble: worth another try.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: What may be said twice.
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_LONGEST_PAUSE_S = 60.0
_MOST_BYTES = 100_000_000
#: Headers that are for the first host alone.
_PRIVATE = ("Authorization", "Cookie", "Proxy-authorization")


class HttpAnswer(Record, frozen=True, kw_only=True):
    """What a server answered.

    Attributes:
        status: Such as 200.
        url: Where it came from, after redirects.
        headers: By their names in small letters.
        body: As it was sent.
    """

    status: int
    url: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - as above

    @property
    def text(self) -> str:
        """The body as text, in the character set that its header names."""
        header = Message()
        header["content-type"] = self.headers.get("content-type", "")
        try:
            return self.body.decode(header.get_content_charset() or "utf-8", errors="replace")
        except LookupError:  # No character set that we know.
            return self.body.decode(errors="replace")

    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        """Read the body as JSON."""
        return json.loads(self.body)


class HttpRequest(Task):
    """Ask a server, again when it is in trouble.

    A server that cannot be reached, and statuses 408, 425, 429, 500, 502, 503 and 504, are asked
    again with growing pauses, or after the time that the server asks for (``Retry-After``).

    Args:
        url: ``http://`` or ``https://``; ``${NAME}`` stands for an environment variable.
        method: Such as ``"GET"`` or ``"POST"``.
        params: Added to the URL.
        headers: ``${NAME}`` stands for an environment variable in their values.
        json: Sent as JSON.
        data: Sent as it is, or as a form when it is a mapping.
        returns: ``"json"``, ``"text"``, ``"bytes"``, ``"answer"`` (an ``HttpAnswer`` of any
            status), or ``"auto"``: JSON when the server says that it is, else text.
        timeout_s: Seconds without a byte after which a try is given up.
        tries: How often to ask in all. Without ``repeatable``, a ``POST`` or ``PATCH`` is asked
            once more only when no connection was made.
        pause_s: Seconds before the second try; each further pause is twice as long.
        repeatable: Whether asking twice does no harm; by default as the method says.
        **options: As ``Task`` has them.
    """

    def __init__(  # noqa: PLR0913 - what a request has
        self,
        url: str | None = None,
        method: str = "GET",
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,  # noqa: ANN401 - whatever JSON can say
        data: bytes | str | Mapping[str, Any] | None = None,
        returns: str = "auto",
        timeout_s: float = 30.0,
        tries: int = 4,
        pause_s: float = 0.5,
        repeatable: bool | None = None,
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        if returns not in {"json", "text", "bytes", "answer", "auto"}:
            msg = f"returns={returns!r} is unknown. Use json, text, bytes, answer or auto."
            raise InvalidInputError(msg)
        self.url = url
        self.method = method.upper()
        self.params = params
        self.headers = headers
        self.json = json
        self.data = data
        self.returns = returns
        self.timeout_s = timeout_s
        self.tries = max(tries, 1)
        self.pause_s = pause_s
        self.repeatable = self.method in _REPEATABLE if repeatable is None else repeatable
        super().__init__(**options)

    def run(
        self,
        url: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,  # noqa: ANN401 - as above
        data: bytes | str | Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - as ``returns`` says
        """Send the request.

        Raises:
            FAIL: The answer's status is not 2xx, unless the whole answer is returned.
            OSError: The server could not be reached.
        """
        url = needed(self, "url", url, self.url)
        body, kind = _body(self.json if json is None else json, self.data if data is None else data)
        wanted = {"Content-Type": kind} if kind else {}
        wanted |= {
            name: expanded(value)
            for name, value in {**(self.headers or {}), **(headers or {})}.items()
        }
        answer = self._ask(
            _with_params(url, {**(self.params or {}), **(params or {})}), wanted, body
        )
        if self.returns == "answer":
            return answer
        if not answer.is_ok:
            where = urlsplit(answer.url)
            msg = (
                f"{self.method} {where.scheme}://{where.hostname}{where.path} was answered with "
                f"status {answer.status}: {answer.text[:500]}"
            )
            raise FAIL(msg, result=answer)
        return _read(answer, self.returns)

    def _ask(self, url: str, headers: Mapping[str, str], body: bytes | None) -> HttpAnswer:
        pause_s = self.pause_s
        for is_last in [*[False] * (self.tries - 1), True]:
            wait_s = pause_s
            try:
                answer = ask(url, self.method, headers=headers, body=body, timeout_s=self.timeout_s)
            except OSError as error:
                if is_last or not (self.repeatable or _never_arrived(error)):
                    raise
                self.logger.warning("Asking again in %.3g s: %s", wait_s, error)
            else:
                if is_last or answer.status not in PASSING or not self.repeatable:
                    return answer
                wait_s = min(_retry_after_s(answer) or pause_s, _LONGEST_PAUSE_S)
                self.logger.warning("Asking again in %.3g s: status %d", wait_s, answer.status)
            pause(wait_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise AssertionError  # The last try returns or raises.


def ask(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 30.0,
) -> HttpAnswer:
    """Ask once; an answer of any status is an answer.

    Raises:
        OSError: The server could not be reached, or broke off.
        InvalidInputError: The URL is not of HTTP, or the answer is longer than 100 MB.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        msg = f"{url!r} is no address of HTTP. Begin it with http:// or https://."
        raise InvalidInputError(msg)
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 - just checked
    opener = urllib.request.build_opener(_CarefulRedirects)
    try:
        with opener.open(request, timeout=timeout_s) as found:
            return _answer(found.status, found.url, found.headers, found)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.url or url, error.headers, error)


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and shows what is private to the first host alone."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,  # noqa: ANN401 - the library's
        newurl: str,
    ) -> urllib.request.Request | None:
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and urlsplit(made.full_url)[:2] != urlsplit(req.full_url)[:2]:
            for name in _PRIVATE:
                made.remove_header(name)
        return made


def _answer(status: int, url: str, headers: Any, body: Any) -> HttpAnswer:  # noqa: ANN401 - the library's
    data = body.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        msg = f"The answer of {url} is longer than {_MOST_BYTES:,} bytes. Use CopyFiles or curl."
        raise InvalidInputError(msg)
    return HttpAnswer(
        status=status,
        url=url,
        headers={name.lower(): value for name, value in headers.items()},
        body=data,
    )


def _body(
    as_json: Any,  # noqa: ANN401 - whatever JSON can say
    data: bytes | str | Mapping[str, Any] | None,
) -> tuple[bytes | None, str]:
    if as_json is not None and data is not None:
        msg = "A request has one body: give json or data."
        raise InvalidInputError(msg)
    if as_json is not None:
        return json.dumps(as_json).encode(), "application/json"
    if data is None or isinstance(data, bytes):
        return data, "application/octet-stream" if data else ""
    if isinstance(data, str):
        return data.encode(), "text/plain; charset=utf-8"
    return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"


def _with_params(url: str, params: Mapping[str, Any]) -> str:
    url = expanded(url)
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}"


def _read(answer: HttpAnswer, returns: str) -> Any:  # noqa: ANN401 - as ``returns`` says
    if returns == "auto":
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        returns = "json" if kind == "application/json" or kind.endswith("+json") else "text"
        if not answer.body:
            returns = "text"
    if returns == "json":
        return answer.json()
    return answer.text if returns == "text" else answer.body


def _never_arrived(error: OSError) -> bool:
    """Tell whether the server cannot have seen the request."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, ConnectionRefusedError)


def _retry_after_s(answer: HttpAnswer) -> float:
    """Read how long the server wants us to wait: seconds, or a date; 0 when it does not say."""
    said = answer.headers.get("retry-after", "").strip()
    if not said:
        return 0.0
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(said).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
