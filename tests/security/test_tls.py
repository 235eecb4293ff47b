"""TLS by files: what is said to the server is nobody else's, and cookies are for TLS alone."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.server.running import running
from tests.server.team import PASSWORD

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.server.serve import serve
from loopline.settings import Address
from loopline.store.sign_in import set_password

if TYPE_CHECKING:
    from pathlib import Path


def certificate(folder: Path) -> tuple[str, str]:
    """Make a certificate of this machine, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "own.pem", folder / "own-key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(files[0]), str(files[1])


def test_over_tls_it_answers_and_over_plain_http_it_does_not(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    home = Address("home", str(tmp_path / "home"))
    backend = LocalBackend(home)
    backend.call(ops.AddUser(name="ana", role="admin"))
    set_password(backend.store, "ana", PASSWORD, by="the test")
    backend.close()
    trusted = ssl.create_default_context(cafile=files[0])
    with running(home, auth=True, tls=files) as url:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.port is not None
        connection_ = http.client.HTTPSConnection(
            "127.0.0.1", parts.port, context=trusted, timeout=20
        )
        connection_.request("GET", "/health")
        answer = connection_.getresponse()
        assert answer.status == 200
        assert answer.read()
        own = f"https://127.0.0.1:{parts.port}"
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": own}
        said = urlencode({"name": "ana", "password": PASSWORD})
        connection_.request("POST", "/login", said, form)
        answer = connection_.getresponse()
        answer.read()
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-loopline_session="), answer.status
        assert "secure" in cookie.lower()
        connection_.request(
            "POST", "/login", said, {**form, "Origin": own.replace("https", "http")}
        )
        assert connection_.getresponse().status == 403
        connection_.close()

        with socket.create_connection(("127.0.0.1", parts.port), timeout=20) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                heard = plain.recv(1000)
            except ConnectionError:
                heard = b""
        assert b"200" not in heard

        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLS"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", parts.port), timeout=20) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            old.wrap_socket(plain)


def test_files_that_are_no_certificate_are_said_in_a_sentence(tmp_path: Path) -> None:
    own, key = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    home = Address("home", str(tmp_path / "home"))
    for files in [(str(wrong), key), (own, str(wrong)), (own, certificate(other)[1]),
                  (str(tmp_path / "none"), key)]:  # fmt: skip
        with pytest.raises(InvalidInputError, match="--tls"):
            serve(home, port=0, tls=files)


def test_a_client_that_is_idle_does_not_hold_up_the_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=files[0])
    with running(Address("home", str(tmp_path / "home")), tls=files) as url:
        port = urlsplit(url).port
        assert port is not None
        idle = http.client.HTTPSConnection("127.0.0.1", port, context=trusted, timeout=20)
        idle.request("GET", "/health")
        assert idle.getresponse().read()
    assert "graceful shutdown exceeded" not in caplog.text
    idle.close()
