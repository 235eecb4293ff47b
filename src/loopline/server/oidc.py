"""Signing in by the word of an OpenID Connect provider: authorization code with PKCE.

What a browser brings back counts only if this server sent that very browser there minutes ago
(``state`` and a cookie), if the provider exchanges the code for who has the secret it was asked
with (PKCE), and if the ID token is signed by the provider's published keys, for this client, for
this one attempt (``nonce``), and not expired.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from loopline.errors import (
    BackendUnavailableError,
    ForbiddenError,
    InvalidInputError,
    MissingExtraError,
)
from loopline.rules.access import may_do, parse_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.records.identity import Role

__all__ = ["CALLBACK", "Attempt", "Oidc", "Provider", "Vouched", "provider_from"]

CALLBACK = "/login/oidc/callback"
#: Seconds in which somebody must be back from the provider, and attempts remembered at most.
ATTEMPT_S, MOST_ATTEMPTS = 600.0, 10_000
#: Seconds for which what the provider publishes counts, and that it is waited for.
FRESH_S, WAIT_S = 3600.0, 10.0
MOST_BYTES = 2**20
#: Signatures with published keys: a token signed with none, or a shared secret, is nobody's word.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
#: Seconds that two clocks may differ.
LEEWAY_S = 60
EVERYBODY = "*"


class Provider(NamedTuple):
    """Who vouches, and what its word is worth.

    Attributes:
        issuer: Its URL.
        client_id: What this server is called there.
        client_secret: Empty for a public client.
        roles: Role by group; ``"*"`` is everybody's.
        groups_claim: Where the ID token tells the groups.
        name_claims: Where it tells what to call somebody; the first that is there counts.
        scopes: What is asked for.
    """

    issuer: str
    client_id: str
    client_secret: str = ""
    roles: Mapping[str, Role] = {}
    groups_claim: str = "groups"
    name_claims: tuple[str, ...] = ("preferred_username", "email")
    scopes: str = "openid profile email"


class Vouched(NamedTuple):
    """Somebody whom the provider vouches for.

    Attributes:
        subject: Its name there, which never changes.
        name: What to call it here.
        role: By its groups; None: none of them may use this server.
    """

    issuer: str
    subject: str
    name: str
    role: Role | None


class Attempt(NamedTuple):
    """A browser sent to the provider.

    Attributes:
        url: Where it is sent.
        cookie: What it must bring back beside the answer.
    """

    url: str
    cookie: str


class _Sent(NamedTuple):
    browser: bytes
    nonce: str
    verifier: str
    redirect: str
    then: str
    until: float


def provider_from(environment: Mapping[str, str] = os.environ) -> Provider | None:
    """Read from the environment who vouches; None: nobody.

    Raises:
        InvalidInputError: Something of it cannot be.
    """
    issuer = environment.get("LOOPLINE_OIDC_ISSUER", "").rstrip("/")
    if not issuer:
        return None
    client_id = environment.get("LOOPLINE_OIDC_CLIENT_ID", "")
    if not client_id:
        msg = "LOOPLINE_OIDC_ISSUER needs LOOPLINE_OIDC_CLIENT_ID: register this server there."
        raise InvalidInputError(msg)
    roles: dict[str, Role] = {}
    for part in filter(None, environment.get("LOOPLINE_OIDC_ROLES", "").split(",")):
        group, equals, role = part.rpartition("=")
        if not equals or not group.strip():
            msg = f"LOOPLINE_OIDC_ROLES is like `ml-admins=admin,*=viewer`, and not {part!r}."
            raise InvalidInputError(msg)
        roles[group.strip()] = parse_role(role.strip())
    if not roles:
        msg = "Say in LOOPLINE_OIDC_ROLES who may do what, such as `ml-admins=admin,*=viewer`."
        raise InvalidInputError(msg)
    _check_url(issuer, "LOOPLINE_OIDC_ISSUER")
    usual = Provider(issuer, client_id)
    return usual._replace(
        client_secret=environment.get("LOOPLINE_OIDC_CLIENT_SECRET", ""),
        roles=roles,
        groups_claim=environment.get("LOOPLINE_OIDC_GROUPS_CLAIM") or usual.groups_claim,
        scopes=environment.get("LOOPLINE_OIDC_SCOPES") or usual.scopes,
    )


def _check_url(url: str, what: str) -> None:
    parts = urlsplit(url)
    is_here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        msg = f"{what} must begin with https://, not be {url[:200]!r}: its word would be anybody's."
        raise InvalidInputError(msg)


class Oidc:
    """Sends browsers to a provider and takes its word. Safe to use from several threads.

    Raises:
        MissingExtraError: What checks signatures is not installed.
    """

    def __init__(self, provider: Provider) -> None:
        try:
            import joserfc  # noqa: F401 - asked here, where the error can say what to install
        except ImportError:
            raise MissingExtraError(
                "joserfc", extra="oidc", purpose="Signing in by OpenID Connect"
            ) from None
        self.provider = provider
        self.called = urlsplit(provider.issuer).hostname or provider.issuer
        self._sent: dict[str, _Sent] = {}
        self._published: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def begin(self, *, redirect: str, then: str) -> Attempt:
        """Make the address to send a browser to.

        Args:
            redirect: Where the provider sends it back to: this server's ``CALLBACK``.
            then: Path to go on to.
        """
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        verifier, cookie = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        challenge = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect,
            "scope": self.provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        now = time.monotonic()
        with self._lock:
            self._sent = {key: sent for key, sent in self._sent.items() if sent.until > now}
            while len(self._sent) >= MOST_ATTEMPTS:
                del self._sent[next(iter(self._sent))]
            self._sent[state] = _Sent(
                _hash(cookie), nonce, verifier, redirect, then, now + ATTEMPT_S
            )
        separator = "&" if "?" in endpoint else "?"
        return Attempt(f"{endpoint}{separator}{urlencode(query)}", cookie)

    def finish(self, answer: Mapping[str, str], cookie: str) -> tuple[Vouched, str]:
        """Take what a browser brings back; returns who it is and the path to go on to.

        Raises:
            ForbiddenError: It is not what the provider says to this server's question.
            BackendUnavailableError: The provider does not answer.
        """
        with self._lock:
            sent = self._sent.pop(answer.get("state", ""), None)
        if (
            sent is None
            or sent.until < time.monotonic()
            or not hmac.compare_digest(sent.browser, _hash(cookie))
        ):
            raise _refused("this browser was not sent there, or too long ago")
        if "code" not in answer:
            said = answer.get("error_description") or answer.get("error") or "nothing"
            raise _refused(f"{self.called} said: {said[:200]}")
        return self._vouched(self._claims(self._exchange(answer["code"], sent), sent)), sent.then

    def _exchange(self, code: str, sent: _Sent) -> str:
        """Exchange a code for an ID token."""
        provider = self.provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": sent.redirect,
            "code_verifier": sent.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if provider.client_secret:
            # RFC 6749, 2.3.1: both are encoded as in a form before they are put together.
            said = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(said.encode()).decode()}"
        else:
            form["client_id"] = provider.client_id
        answer = self._ask(self._endpoint("token_endpoint"), urlencode(form).encode(), headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused(f"{self.called} gave no ID token")
        return token

    def _claims(self, token: str, sent: _Sent) -> dict[str, Any]:
        """Check an ID token, and read what it says."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": self.provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": sent.nonce},
        )
        for fresh in (False, True):  # Keys are changed from time to time: then they are new.
            keys = self._get(self._endpoint("jwks_uri"), fresh=fresh)
            try:
                key_set = KeySet.import_key_set(keys)  # type: ignore[arg-type]
                decoded = jwt.decode(token, key_set, algorithms=ALGORITHMS)
                claims: dict[str, Any] = decoded.claims
                registry.validate(claims)
            except (JoseError, ValueError, KeyError, TypeError) as error:
                if fresh:
                    raise _refused(f"its ID token does not hold ({type(error).__name__})") from None
                continue
            break
        # With several audiences, it must have been made for this one.
        if claims.get("azp", self.provider.client_id) != self.provider.client_id:
            raise _refused("its ID token was made for another")
        return claims

    def _vouched(self, claims: dict[str, Any]) -> Vouched:
        provider = self.provider
        told = claims.get(provider.groups_claim, [])
        groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        roles = [provider.roles[group] for group in map(str, groups) if group in provider.roles]
        if EVERYBODY in provider.roles:
            roles.append(provider.roles[EVERYBODY])
        best: Role | None = None
        for role in roles:
            best = role if best is None or may_do(role, best) else best
        subject = str(claims["sub"])
        return Vouched(provider.issuer, subject, self._name(claims, subject), best)

    def _name(self, claims: dict[str, Any], subject: str) -> str:
        for claim in self.provider.name_claims:
            said = claims.get(claim)
            if claim == "email" and claims.get("email_verified") is False:
                continue  # Anybody can say that an address is theirs.
            if isinstance(said, str) and said:
                return said
        return subject

    def _endpoint(self, name: str) -> str:
        document = self._get(f"{self.provider.issuer}/.well-known/openid-configuration")
        if str(document.get("issuer", "")).rstrip("/") != self.provider.issuer:
            raise _refused(f"{self.called} calls itself otherwise than LOOPLINE_OIDC_ISSUER does")
        url = document.get(name)
        if not isinstance(url, str):
            raise _refused(f"{self.called} publishes no {name}")
        _check_url(url, name)
        return url

    def _get(self, url: str, *, fresh: bool = False) -> dict[str, Any]:
        kept = self._published.get(url)
        if kept is not None and not fresh and kept[0] > time.monotonic():
            return kept[1]
        document = self._ask(url)
        self._published[url] = (time.monotonic() + FRESH_S, document)
        return document

    def _ask(
        self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - its scheme was checked
            url, body, {"Accept": "application/json", **(headers or {})}
        )
        try:
            with _OPENER.open(request, timeout=WAIT_S) as answer:
                document = json.loads(answer.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                if 400 <= error.code < 500:  # noqa: PLR2004 - HTTP
                    raise _refused(f"{self.called} answered with status {error.code}") from None
            raise self._away(error) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._away(error) from None
        if not isinstance(document, dict):
            raise self._away(ValueError("no JSON object"))
        return document

    def _away(self, error: Exception) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"{self.called} cannot be asked who you are now ({type(error).__name__}). Try again, "
            "or sign in with a name and password."
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A provider's endpoints are where it publishes them, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib has it
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _refused(why: str) -> ForbiddenError:
    return ForbiddenError(f"You are not signed in: {why}. Begin again at /login.")
