"""A small server of the tests' own that keeps the wire profile, and breaks it on demand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from lxml import etree

from gateway.sample_client.audit import leaf_hash
from gateway.sample_client.httpsig import Message, digest_header, sign_answer, verify_request
from gateway.sample_client.identity import Identity
from gateway.sample_client.signing import Verifier
from gateway.sample_client.wssec import (
    ID,
    LGSP,
    SOAP,
    SOAP12,
    WSA,
    BadEnvelope,
    new_envelope,
    parse,
    serialise,
    sign,
    soap_of,
    verify,
)

LEAF = leaf_hash(b"entry")


@dataclass
class Door:
    """A door of a gateway, as small as it can be: tokens, one REST operation that echoes, one SOAP operation that
    echoes."""

    province: Any
    url: str = ""
    tokens: int = 0
    requests: list[Message] = field(default_factory=list)
    break_it: str = ""
    key: Identity | None = None

    def caller(self, key_id: str) -> list[Verifier]:
        party = self.province.parties.get(key_id.removesuffix(".sign-1"))
        return [] if party is None else [Verifier(key_id, self.province.identity(party.system).signer.certificate)]

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assertion = str(form["client_assertion"])
        (key,) = self.caller(jwt.get_unverified_header(assertion)["kid"])
        algorithm = {"ed25519": "EdDSA"}.get(key.algorithm, "ES256")
        try:
            claims = jwt.decode(
                assertion, key.certificate.public_key(), algorithms=[algorithm], audience=f"{self.url}/oauth/token",  # type: ignore[arg-type]
                options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
            )  # fmt: skip
        except jwt.InvalidTokenError as wrong:
            return web.json_response({"error": "invalid_client", "error_description": str(wrong)}, status=401)
        assert claims["iss"] == claims["sub"] and claims["exp"] - claims["iat"] <= 60
        assert form["grant_type"] == "client_credentials" and str(form["client_assertion_type"]).endswith("jwt-bearer")
        self.tokens += 1
        return web.json_response({"access_token": f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 600})

    async def echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        message = Message(headers, request.method, self.url + request.raw_path)
        problem = {"content-type": "application/problem+json"}
        if request.transport is None or request.transport.get_extra_info("peercert") is None:
            return web.Response(status=401, headers=problem, text='{"code":"channel.no-certificate"}')
        try:
            verify_request(message, body, self.caller, time.time(), needed=("authorization",))
        except Exception as wrong:
            return web.Response(
                status=401, headers=problem, text=json.dumps({"code": "signature", "detail": str(wrong)})
            )
        self.requests.append(message)
        content = json.dumps(
            {"path": request.raw_path, "body": body.decode(), "language": headers["accept-language"]},
            ensure_ascii=False,
        ).encode()
        leaf = base64.b64encode(LEAF).decode()
        note = base64.b64encode(self.province.authority.note(1, LEAF).encode()).decode()
        answer = {
            "content-type": "application/json", "content-digest": digest_header(content), "lgsp-transfer": "t-1",
            "lgsp-receipt": f"intent=:{leaf}:, outcome=:{leaf}:", "lgsp-checkpoint": f":{note}:",
        }  # fmt: skip
        asked = Message(self.requests[0].headers, "POST", message.target) if self.break_it == "binding" else message
        assert self.key is not None
        answer |= sign_answer(Message(answer, status=200, request=asked), self.key.signer, created=int(time.time()))
        if self.break_it == "unsigned":
            answer = {name: value for name, value in answer.items() if not name.startswith("signature")}
        if self.break_it == "body":
            content = content.replace(b"path", b"pfad")
        if self.break_it == "receipt":
            answer["lgsp-receipt"] = f"intent=:{leaf}:"
        return web.Response(headers=answer, body=content)

    async def published(self, request: web.Request) -> web.Response:
        return web.json_response({"protection": "signed"})

    async def audit(self, request: web.Request) -> web.Response:
        second = leaf_hash(b"another entry")
        root = hashlib.sha256(b"\1" + LEAF + second).digest()
        if request.path.startswith("/audit/consistency"):
            assert dict(request.query) == {"from": "1", "to": "2"}
            return web.json_response({"proof": [base64.b64encode(second if self.break_it != "log" else LEAF).decode()]})
        if request.match_info["path"] != "proof/t-1":
            return web.json_response({}, status=404)
        leaf, step = (base64.b64encode(item).decode() for item in (LEAF, second))
        entry = {"phase": "intent", "index": 0, "leaf": leaf, "entry": "entry", "proof": [step]}
        return web.json_response({"checkpoint": self.province.authority.note(2, root), "entries": [entry]})

    async def soap(self, request: web.Request) -> web.Response:
        content = {"content-type": "text/xml; charset=utf-8"}
        keys = [key for name in ("canh-bao", "may-cu", "y-te") for key in self.caller(f"{name}.sign-1")]
        asked_by = parse(await request.read())
        if soap_of(asked_by) == SOAP12:
            content = {"content-type": "application/soap+xml; charset=utf-8"}
        try:
            found = verify(asked_by, {key.thumbprint: key for key in keys}.get, time.time())
        except BadEnvelope as wrong:
            fault = etree.fromstring(
                f'<soap:Fault xmlns:soap="{SOAP}" '
                f'xmlns:l="{LGSP}"><faultcode>soap:Client</faultcode><faultstring>Chữ ký '
                "sai</faultstring><detail>"
                '<l:Problem><l:Code>signature.x</l:Code><l:Title xml:lang="vi">Sai</l:Title><l:Title '
                'xml:lang="en">Wrong</l:Title>'
                '<l:Next xml:lang="vi">Ký lại</l:Next><l:Transfer>t-9</l:Transfer><l:Finding here="a" '
                'canonical="b" got="" rule="r" expected="e"/>'
                f"</l:Problem></detail></soap:Fault>"
            )
            fault[1].text = f"Chữ ký sai: {wrong}"
            return web.Response(status=500, headers=content, body=serialise(new_envelope(fault)))
        assert self.key is not None
        receipt = etree.Element(f"{{{LGSP}}}Receipt")
        receipt.set(ID, "receipt")
        leaf = base64.b64encode(LEAF).decode()
        note = base64.b64encode(self.province.authority.note(1, LEAF).encode()).decode()
        for name, text in (("Transfer", "t-1"), ("Intent", leaf), ("Outcome", leaf), ("Checkpoint", note)):
            etree.SubElement(receipt, f"{{{LGSP}}}{name}").text = text
        asked = "urn:uuid:other" if self.break_it == "binding" else found.text(WSA, "MessageID") or ""
        headers = [
            ("Action", "action", "urn:answer"),
            ("MessageID", "message-id", "urn:uuid:a"),
            ("RelatesTo", "relates-to", asked),
        ]
        root = new_envelope(found.body, soap_of(asked_by))
        if self.break_it != "unsigned":
            sign(root, self.key.signer, headers=headers, now=time.time(), blocks=[receipt])
        raw = serialise(root)
        return web.Response(
            headers=content, body=raw.replace("Đông".encode(), b"Dong") if self.break_it == "body" else raw
        )


@contextmanager
def small_door(province: Any) -> Iterator[Door]:
    """Listening on a free port of the loopback until the block ends."""
    made = Door(province, key=province.identity("gateway"))
    context = made.key.server_context()  # type: ignore[union-attr]
    context.verify_mode = ssl.CERT_OPTIONAL  # as the exchange listener: refused by the door, not by the handshake
    application = web.Application()
    application.router.add_post("/oauth/token", made.token)
    application.router.add_post("/soap/{path:.*}", made.soap)
    application.router.add_get("/audit/{path:.*}", made.audit)
    application.router.add_get("/contracts/{path:.*}", made.published)
    application.router.add_route("*", "/{path:.*}", made.echo)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        made.url = f"https://localhost:{runner.addresses[0][1]}"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    yield made
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()
