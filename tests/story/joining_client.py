"""A vendor's own software: openssl, curl, and libraries of others. It shares no code with the gateway.

It knows what the page of the join tells, and docs/wire.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSA, LGSP = "http://www.w3.org/2005/08/addressing", "urn:lgsp:wire:1"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE, WSU = f"{_OASIS}-wssecurity-secext-1.0.xsd", f"{_OASIS}-wssecurity-utility-1.0.xsd"
BASE64, X509 = f"{_OASIS}-soap-message-security-1.0#Base64Binary", f"{_OASIS}-x509-token-profile-1.0#X509v3"
DS, EXC = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/10/xml-exc-c14n#"
ECDSA, DIGEST = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What somebody pastes into a terminal, whose python3 has the packages that the page names."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    command = ["bash", "-c", text]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


class _Key(HTTPSignatureKeyResolver):
    def __init__(self, pem: bytes) -> None:
        self._pem = pem

    def resolve_private_key(self, key_id: str) -> bytes:
        return self._pem


@dataclass
class Client:
    """One system, by its folder."""

    folder: Path
    about: dict[str, str] = field(init=False)
    ahead: int = 0  # seconds that she signs ahead of this host's clock

    def __post_init__(self) -> None:
        self.about = json.loads((self.folder / "system.json").read_text())

    def file(self, name: str) -> Path:
        return self.folder / name

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.cert = (str(self.file("tls.crt")), str(self.file("tls.key")))
        session.verify = str(self.file("ca.crt"))
        return session

    def wait(self) -> None:
        """Until the doors have taken up the new certificate."""
        for _ in range(100):
            if self._asked(self.session()).status_code == 200:
                return
            time.sleep(0.2)
        raise AssertionError(self._asked(self.session()).text)

    def token(self, session: requests.Session) -> str:
        answer = self._asked(session)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _asked(self, session: requests.Session) -> requests.Response:
        endpoint, now, system = (
            f"{self.about['gateway']}/oauth/token",
            int(time.time()) + self.ahead,
            self.about["system"],
        )
        claims = {"iss": system, "sub": system, "aud": endpoint, "iat": now, "exp": now + 60, "jti": uuid.uuid4().hex}
        key = self.file("sign.key").read_text()
        assertion = jwt.encode(claims, key, algorithm="ES256", headers={"kid": self.about["sign_key_id"]})
        return session.post(
            endpoint,
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            },
        )

    def rest(self, method: str, path: str, body: bytes | None = None, message: str = "") -> requests.Response:
        """A signed call (RFC 9421)."""
        session = self.session()
        url, headers = self.signed(method, path, body, message, token=self.token(session))
        return session.request(method, url, data=body, headers=headers)

    def signed(
        self, method: str, path: str, body: bytes | None = None, message: str = "", *, token: str
    ) -> tuple[str, dict[str, str]]:
        url, headers = self.about["gateway"] + path, {"authorization": f"Bearer {token}"}
        if body is not None:
            headers |= {"content-type": "application/json", "content-digest": digest(body)}
        if message:
            headers["idempotency-key"] = f'"{message}"'
        asked = SimpleNamespace(method=method, url=url, headers=headers)
        self.sign(asked, ("@method", "@target-uri", *headers), "lgsp-request", expires=60)
        return url, asked.headers

    def sign(self, message: Any, covered: tuple[str, ...], tag: str, expires: int = 0) -> None:
        signer = HTTPMessageSigner(
            signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=_Key(self.file("sign.key").read_bytes())
        )
        now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self.ahead)
        until: dict[str, Any] = (
            {"expires": now + timedelta(seconds=expires), "nonce": uuid.uuid4().hex} if expires else {}
        )
        signer.sign(
            message,
            key_id=self.about["sign_key_id"],
            created=now,
            covered_component_ids=covered,
            include_alg=False,
            label="sig1",
            tag=tag,
            use_existing_digest="content-digest" in message.headers,
            **until,
        )

    def soap(self, contract: str, namespace: str, body: bytes) -> requests.Response:
        """An envelope, signed by hand (WS-Security 1.1)."""
        element = etree.fromstring(body)
        action = f"{namespace}:{etree.QName(element).localname}"
        content = self._envelope(action, element)
        headers = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{action}"'}
        return self.session().post(f"{self.about['gateway']}/soap/{contract}", data=content, headers=headers)

    def answer_by_soap(self, raw: bytes, answer: dict[str, Any]) -> tuple[str, bytes]:
        """Who called, and the signed envelope that answers: the operation's wrapper with the fields of `answer`."""
        asked: Any = etree.fromstring(raw, etree.XMLParser(resolve_entities=False))
        (body,) = asked.find(f"{{{SOAP}}}Body")
        name = etree.QName(body)
        names: Any = {None: name.namespace}
        element = etree.Element(f"{{{name.namespace}}}{name.localname}Response", nsmap=names)
        for field_name, value in answer.items():
            etree.SubElement(element, f"{{{name.namespace}}}{field_name}").text = value
        action, message = (asked.findtext(f".//{{{WSA}}}{each}") for each in ("Action", "MessageID"))
        return str(asked.findtext(f".//{{{LGSP}}}Caller")), self._envelope(f"{action}Response", element, message)

    def _envelope(self, action: str, element: Any, answers: str | None = None) -> bytes:
        """`answers`: the id of the message that it answers."""
        names = {"soap": SOAP, "wsa": WSA, "wsse": WSSE, "wsu": WSU, "ds": DS}
        envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap=names)
        header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
        signed = [_child(header, WSA, "Action", "action", action)]
        signed.append(_child(header, WSA, "MessageID", "message-id", f"urn:uuid:{uuid.uuid4()}"))
        if answers is not None:
            signed.append(_child(header, WSA, "RelatesTo", "relates-to", answers))
        security = etree.SubElement(header, f"{{{WSSE}}}Security")
        security.set(f"{{{SOAP}}}mustUnderstand", "1")
        stamp, now = (
            _child(security, WSU, "Timestamp", "timestamp", ""),
            datetime.now(UTC) + timedelta(seconds=self.ahead),
        )
        for name, at in (("Created", now), ("Expires", now + timedelta(minutes=1))):
            etree.SubElement(stamp, f"{{{WSU}}}{name}").text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        certificate = load_pem_x509_certificate(self.file("sign.crt").read_bytes())
        der = certificate.public_bytes(_der())
        token = _child(security, WSSE, "BinarySecurityToken", "token", base64.b64encode(der).decode())
        token.set("EncodingType", BASE64)
        token.set("ValueType", X509)
        signature = etree.SubElement(security, f"{{{DS}}}Signature")
        holder = etree.SubElement(envelope, f"{{{SOAP}}}Body")
        holder.set(f"{{{WSU}}}Id", "body")
        holder.append(element)
        self._sign(signature, [*signed, stamp, token, holder])
        return bytes(etree.tostring(envelope))

    def _sign(self, signature: Any, parts: list[Any]) -> None:
        info = etree.SubElement(signature, f"{{{DS}}}SignedInfo")
        etree.SubElement(info, f"{{{DS}}}CanonicalizationMethod").set("Algorithm", EXC)
        etree.SubElement(info, f"{{{DS}}}SignatureMethod").set("Algorithm", ECDSA)
        for part in parts:
            reference = etree.SubElement(info, f"{{{DS}}}Reference")
            reference.set("URI", f"#{part.get(f'{{{WSU}}}Id')}")
            transforms = etree.SubElement(reference, f"{{{DS}}}Transforms")
            etree.SubElement(transforms, f"{{{DS}}}Transform").set("Algorithm", EXC)
            etree.SubElement(reference, f"{{{DS}}}DigestMethod").set("Algorithm", DIGEST)
            value = etree.SubElement(reference, f"{{{DS}}}DigestValue")
            value.text = base64.b64encode(hashlib.sha256(_canonical(part)).digest()).decode()
        key = load_pem_private_key(self.file("sign.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(_canonical(info), ec.ECDSA(SHA256())))
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        etree.SubElement(signature, f"{{{DS}}}SignatureValue").text = base64.b64encode(raw).decode()
        about = etree.SubElement(signature, f"{{{DS}}}KeyInfo")
        reference = etree.SubElement(about, f"{{{WSSE}}}SecurityTokenReference")
        named = etree.SubElement(reference, f"{{{WSSE}}}Reference")
        named.set("URI", "#token")
        named.set("ValueType", X509)


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def _child(above: Any, namespace: str, name: str, id: str, text: str) -> Any:
    element = etree.SubElement(above, f"{{{namespace}}}{name}")
    element.set(f"{{{WSU}}}Id", id)
    element.text = text or None
    return element


def _canonical(element: Any) -> bytes:
    return bytes(etree.tostring(element, method="c14n", exclusive=True, with_comments=False))


Answered = Callable[[BaseHTTPRequestHandler, bytes], tuple[str, dict[str, str], bytes]]  # caller, headers, content


@dataclass
class Seen:
    """The calls that a provider got: what `Lgsp-Caller` said."""

    callers: list[str] = field(default_factory=list)


@contextmanager
def provider(client: Client, port: int, answer: bytes) -> Iterator[Seen]:
    """A REST provider on the loopback, with signed answers (RFC 9421)."""

    def answered(handler: BaseHTTPRequestHandler, _: bytes) -> tuple[str, dict[str, str], bytes]:
        headers = {"content-type": "application/json", "content-digest": digest(answer)}
        asked = SimpleNamespace(
            method="POST", url=f"https://localhost:{port}{handler.path}", headers=dict(handler.headers.items())
        )
        told = SimpleNamespace(status_code=200, headers=headers, request=asked, url=asked.url)
        covered = ("@status", "content-type", "content-digest", '"signature";req;key="sig1"')
        client.sign(told, covered, "lgsp-answer")
        return handler.headers["lgsp-caller"], told.headers, answer

    with _served(client, port, answered) as seen:
        yield seen


@contextmanager
def soap_provider(client: Client, port: int, answer: dict[str, Any]) -> Iterator[Seen]:
    """A SOAP provider on the loopback, with signed answers (WS-Security 1.1)."""

    def answered(_: BaseHTTPRequestHandler, body: bytes) -> tuple[str, dict[str, str], bytes]:
        caller, envelope = client.answer_by_soap(body, answer)
        return caller, {"content-type": "text/xml; charset=utf-8"}, envelope

    with _served(client, port, answered) as seen:
        yield seen


@contextmanager
def _served(client: Client, port: int, answered: Answered) -> Iterator[Seen]:
    """Serves on the loopback by mutual TLS with the issued certificate."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            caller, headers, content = answered(self, self.rfile.read(int(self.headers.get("content-length", "0"))))
            seen.callers.append(caller)
            self.send_response(200)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(client.file("tls.crt"), client.file("tls.key"))
    context.load_verify_locations(client.file("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
