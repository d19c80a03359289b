"""A provider that is good by default, and does wrong in one way when it is told to (`faults.yaml`).

By REST it takes `createRequest` of `field-report/v1` in the canonical format, and `getReading` of the contract in
`contract/` in `tram-json`. By SOAP 1.1 it takes `createRequest` in `do-thi-xml`. Written from docs/wire.md and the
pages of the contracts alone.

    python -m tests.conformance.bad.provider --identity DIR --port 8455 [--fault ID]
"""

from __future__ import annotations

import argparse
import json
import re
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from tests.conformance.bad import content, soap_wire, wire
from tests.conformance.bad.wire import Keys, Unproven

SLOW_SECONDS = 90.0
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came. Names of fields in lower case; `target` is the whole address."""

    method: str
    target: str
    fields: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Given:
    """An answer. `dropped`: the connection is closed in its place."""

    status: int
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    dropped: bool = False


@dataclass(slots=True)
class Provider:
    """What the provider knows: its keys, the seeded fault, and the messages that it carried out."""

    keys: Keys
    endpoint: str  # its registered address, without a slash at its end
    fault: str | None = None
    slow_seconds: float = SLOW_SECONDS
    clock: Callable[[], float] = time.time
    carried_out: list[str] = field(default_factory=list)  # the message id of each act
    _answers: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # id → content, number of the act
    _signatures: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wrong_key: Keys | None = None

    def __post_init__(self) -> None:
        self._wrong_key = replace(self.keys, private=ec.generate_private_key(ec.SECP256R1()))

    def answer(self, asked: Asked) -> Given:
        xml = asked.fields.get("content-type", "").startswith("text/xml")
        try:
            given = self._soap(asked) if xml else self._rest(asked)
        except Exception:
            if self.fault not in {"stack-trace", "absent-refused"}:
                raise
            text = traceback.format_exc() if self.fault == "stack-trace" else "Internal Server Error"
            return Given(500, {"content-type": "text/plain; charset=utf-8"}, text.encode())
        if self.fault == "too-slow":
            time.sleep(self.slow_seconds)
        given.dropped = self.fault == "closes"
        return given

    # --- what both have -----------------------------------------------------------------------------------------

    def _once(self, signature: bytes) -> None:
        with self._lock:
            if signature in self._signatures and self.fault != "replay-taken":
                raise Unproven("this signature was seen before")
            self._signatures.add(signature)

    def _act(self, message_id: str, words: bytes) -> tuple[int, bool] | None:
        """The number of the act and whether it is a repeat. None: the id was used for other content."""
        with self._lock:
            known = self._answers.get(message_id)
            if known is not None and self.fault != "repeat-twice":
                return (known[1], True) if known[0] == words else None
            self.carried_out.append(message_id)
            self._answers[message_id] = (words, len(self.carried_out))
            return len(self.carried_out), known is not None

    def _report(self, number: int, repeated: bool, description: str) -> dict[str, Any]:
        answer = content.report_answer(number, description)
        if repeated and self.fault == "repeat-other-answer":
            answer |= {"status": "closed", "service_notice": "Đã xử lý xong."}
        return content.spoil(answer, self.fault)

    # --- REST ---------------------------------------------------------------------------------------------------

    def _rest(self, asked: Asked) -> Given:
        unsigned = "signature" not in asked.fields
        if not (unsigned and self.fault == "unsigned-taken"):
            try:
                self._prove(asked)
            except Unproven as wrong:
                return self._problem(asked, 401, "signature", str(wrong))
        path = asked.target.removeprefix(self.endpoint)
        if path.endswith("/tra-cuu"):
            return self._reading(asked)
        if not path.endswith("/requests"):
            return self._problem(asked, 404, "path", path)
        request = _object(asked.body)
        rule = "not an object" if request is None else content.broken_rule(request)
        if request is None or rule is not None:
            if self.fault == "stack-trace":
                raise ValueError(f"cannot handle request: {rule}")
            status = 200 if self.fault == "refusal-with-200" else 422
            return self._problem(asked, status, "message.invalid", str(rule))
        if self.fault == "absent-refused" and content.absent(request):
            raise TypeError("expected str, not dict")
        message_id = asked.fields.get("idempotency-key", "").strip('"')
        if not message_id:
            return self._problem(asked, 400, "message.no-id", "Idempotency-Key")
        act = self._act(message_id, asked.body)
        if act is None:
            return self._problem(asked, 409, "message.other-body", message_id)
        answer = self._report(*act, request["description"])
        return self._signed(asked, 200, "application/json", _json(answer))

    def _prove(self, asked: Asked) -> None:
        derived = {'"@method"': asked.method, '"@target-uri"': asked.target}
        needed = wire.needed_of_request(asked.fields)
        if asked.body:
            needed |= {'"content-type"', '"content-digest"'}
        signed = wire.check(self.keys, needed, "lgsp-request", derived, asked.fields)
        fits = not asked.body or asked.fields["content-digest"] == wire.digest(asked.body)
        if not fits and self.fault != "digest-ignored":
            raise Unproven("Content-Digest does not fit the body")
        created, expires = int(signed.params["created"]), int(signed.params.get("expires", "0"))
        if self.fault != "old-signature-taken":
            if not created < expires <= created + 60 or expires < self.clock() or created > self.clock() + 5:
                raise Unproven("old, or from the future")
        self._once(signed.value)

    def _reading(self, asked: Asked) -> Given:
        query = _object(asked.body)
        answer = None if query is None else content.reading(query, self.fault)
        if answer is None:
            return self._problem(asked, 422, "message.invalid", "tram, luc")
        return self._signed(asked, 200, "application/json", _json(answer))

    def _problem(self, asked: Asked, status: int, code: str, detail: str) -> Given:
        about = {"type": f"urn:kt:problem:{code}", "title": "Từ chối", "status": status, "detail": detail}
        return self._signed(asked, status, PROBLEM, _json(about))

    def _signed(self, asked: Asked, status: int, media_type: str, body: bytes) -> Given:
        kind = "text/html; charset=utf-8" if self.fault == "wrong-content-type" else media_type
        fields = {"content-type": kind}
        if self.fault != "digest-missing":
            fields["content-digest"] = wire.digest(body)
        if self.fault == "answer-unsigned":
            return Given(status, fields, body)
        keys = self._wrong_key if self.fault == "other-key" and self._wrong_key is not None else self.keys
        bound = self.fault != "answer-unbound" and "signature" in asked.fields
        fields |= wire.sign_answer(keys, status, fields, asked.fields, created=int(self.clock()), bound=bound)
        return Given(status, fields, body)

    # --- SOAP ---------------------------------------------------------------------------------------------------

    def _soap(self, asked: Asked) -> Given:
        try:
            envelope = soap_wire.parse(asked.body)
            request = soap_wire.body_of(envelope)
        except (etree.XMLSyntaxError, Unproven) as wrong:
            return self._envelope(None, soap_wire.fault("Client", str(wrong)), 500)
        try:
            signed = envelope.find(f".//{{{soap_wire.DS}}}Signature") is not None
            if signed or self.fault != "unsigned-taken":
                digests, old = self.fault != "digest-ignored", self.fault == "old-signature-taken"
                now = soap_wire.utc_now()
                signature = soap_wire.unseal(self.keys, envelope, now=now, digests=digests, old=old)
                self._is_for_us(envelope, asked)
                self._once(signature)
        except Unproven as wrong:
            return self._envelope(envelope, soap_wire.fault("Client", f"Chữ ký: {wrong}"), 500)
        rule = content.broken_xml(request)
        if rule is not None:
            if self.fault == "stack-trace":
                raise ValueError(f"cannot handle request: {rule}")
            status = 200 if self.fault == "soap-fault-with-200" else 500
            return self._envelope(envelope, soap_wire.fault("Client", f"Sai: {rule}"), status)
        message_id = soap_wire.header(envelope, soap_wire.WSA, "MessageID") or ""
        act = self._act(message_id, soap_wire.canonical(request))
        if act is None:
            return self._envelope(envelope, soap_wire.fault("Client", "Mã thông điệp đã dùng"), 500)
        answer = self._report(*act, request.findtext(f"{{{content.DT}}}NoiDung", ""))
        return self._envelope(envelope, content.to_xml(answer, self.fault), 200)

    def _is_for_us(self, envelope: etree._Element, asked: Asked) -> None:
        """The signed address is ours, and the action of the HTTP head is the signed one."""
        if soap_wire.header(envelope, soap_wire.WSA, "To") != self.endpoint:
            raise Unproven("wsa:To is another address")
        if asked.fields.get("soapaction", "").strip('"') != soap_wire.header(envelope, soap_wire.WSA, "Action"):
            raise Unproven("SOAPAction is not wsa:Action")

    def _envelope(self, request: etree._Element | None, inner: etree._Element, status: int) -> Given:
        headers = {"MessageID": soap_wire.new_id(), "Action": f"{content.DT}:KetQua"}
        related = None if request is None else soap_wire.header(request, soap_wire.WSA, "MessageID")
        if related and self.fault != "soap-no-relates-to":
            headers["RelatesTo"] = related
        keys = self._wrong_key if self.fault == "other-key" and self._wrong_key is not None else self.keys
        signed = self.fault != "soap-body-unsigned"
        body = soap_wire.seal(keys, inner, headers, now=soap_wire.utc_now(), body_signed=signed)
        kind = "text/html" if self.fault == "wrong-content-type" else "text/xml"
        return Given(status, {"content-type": f"{kind}; charset=utf-8"}, body)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


_PLAIN = re.compile(r"[0-9]{1,9}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        body = self.rfile.read(int(length)) if _PLAIN.fullmatch(length) else _chunks(self.rfile)
        fields = {name.lower(): value for name, value in self.headers.items()}
        origin = "/".join(self.provider.endpoint.split("/")[:3])
        asked = Asked("POST", origin + self.path, fields, body)
        given = self.provider.answer(asked)
        if given.dropped:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(given.status)
        for name, value in given.fields.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(given.body)))
        self.end_headers()
        self.wfile.write(given.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed: the tests read `carried_out`."""


def _chunks(stream: Any) -> bytes:
    whole = b""
    while size := int(stream.readline().split(b";")[0], 16):
        whole += stream.read(size)
        stream.readline()
    stream.readline()
    return whole


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error of the provider."""


def serve(provider: Provider, port: int, folder: Path | None = None) -> ThreadingHTTPServer:
    """A running server on 127.0.0.1. With an identity folder it speaks TLS and wants the gateway's certificate."""
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = _Server(("127.0.0.1", port), handler)
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description="A provider with one seeded fault.")
    parser.add_argument("--identity", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fault")
    options = parser.parse_args()
    endpoint = f"https://localhost:{options.port}"
    server = serve(Provider(Keys.load(options.identity), endpoint, options.fault), options.port, options.identity)
    print(f"{endpoint} fault={options.fault}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
