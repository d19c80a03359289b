"""Readers of answers: the kit, the agent, the sample clients; and what the gateway's own interface is asked with."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from contracts.base.errors import Failure
from contracts.wire import soap
from gateway.agent import documents as agent_documents
from gateway.agent.open311 import forms
from gateway.agent.secret import LocalSecret
from gateway.client import answers, client
from gateway.client import soap as kit
from gateway.client.audit import proofs, reconciliation
from gateway.client.feeds import FeedPage
from gateway.client.identities import succession
from gateway.client.identities.trusted import TrustedKeys, _offered
from gateway.doors import documents
from gateway.doors.api import audit as api_audit
from gateway.doors.api.validation import FORM, RECEIVED, Checks, Parameter, _pairs
from gateway.doors.http import body, edge
from gateway.feeds import cursor
from gateway.sample_client import audit, fields, httpsig, jose, signing, soap_answers, wscrypt, wssec
from security.pki import authority
from tests.attacks.readers_log import note
from tests.attacks.readers_security import NOW, TEXTS, known
from tests.attacks.readers_wire import JSON, XML, again
from tests.attacks.reading import Try, reader

assert FORM and RECEIVED and TrustedKeys is not None


@reader(
    "gateway.client.answers:read_json",
    "gateway.client.answers:unbase64",
    "gateway.client.answers:note_of",
    "gateway.client.answers:hashes_of",
)
def plain_answers() -> Iterable[Try]:
    yield from [Try(f"JSON: {name}", answers.read_json, make) for name, make in list(JSON.items())[::3]]
    for name, make in TEXTS.items():
        yield Try(f"base64: {name}", lambda text: answers.unbase64(text, "a"), make)
        yield Try(f"note: {name}", answers.note_of, partial(lambda m, n: f":{m(n)}:", make))
    yield Try("hashes", lambda texts: answers.hashes_of(texts, "a"), lambda n: ["YWFh"] * n)


@reader(
    "gateway.client.answers:Receipt.from_headers",
    "gateway.client.answers:Receipt.from_element",
    "gateway.client.answers:Problem.from_rest",
    "gateway.client.answers:Problem.from_fault",
)
def told() -> Iterable[Try]:
    for name, make in TEXTS.items():
        yield Try(
            f"receipt: {name}",
            lambda text: answers.Receipt.from_headers({"lgsp-receipt": text, "lgsp-transfer": text}),
            make,
        )
        yield Try(f"later: {name}", lambda text: answers.Problem.from_rest(503, {"retry-after": text}, b""), make)
    findings = {
        "findings": lambda n: {"code": "a", "findings": [{"here": "a"}] * n},
        "messages": lambda n: {"code": "a", "messages": {f"a{at}": {} for at in range(n)}},
    }
    for name, made in findings.items():
        yield Try(
            f"problem: {name}",
            lambda raw: answers.Problem.from_rest(400, {}, raw),
            partial(lambda m, n: json.dumps(m(n)).encode(), made),
            50_000,
        )
    units = ["Finding", "Title", "Detail", "Next", "Code", "Hash"]
    for unit in units:
        make_ = again(
            b'<l:%b xml:lang="vi"/>' % unit.encode(),
            b'<f xmlns:l="%b"><l:Problem>' % soap.LGSP.encode(),
            b"</l:Problem></f>",
        )
        yield Try(f"fault: {unit}", lambda raw: answers.Problem.from_fault(500, soap.parse_xml(raw)), make_, 50_000)
        yield Try(f"sample fault: {unit}", lambda raw: soap_answers.Fault.read(wssec.parse(raw)), make_, 50_000)
        yield Try(
            f"receipt in XML: {unit}", lambda raw: answers.Receipt.from_element(soap.parse_xml(raw)), make_, 50_000
        )


@reader(
    "gateway.client.audit.proofs:check",
    "gateway.client.identities.succession:check",
    "gateway.client.client:published_protection",
    "gateway.client.feeds:FeedPage.read",
    "gateway.client.identities.trusted:TrustedKeys.learn",
    "gateway.sample_client.audit:check_proof",
)
def documents_of_the_gateway() -> Iterable[Try]:
    _, key, good = note()
    sample = audit.LogKey.parse(key.text())
    proof = {
        "leaf": base64.b64encode(__import__("hashlib").sha256(b"\x00a").digest()).decode(),
        "proof": [],
        "index": 0,
        "phase": "a",
    }
    pem = known().issuer.certificate.public_bytes(Encoding.PEM).decode()
    made: dict[str, Callable[[int], Any]] = {
        "entries": lambda n: {"checkpoint": good, "entries": [proof] * n, "transfer": "a"},
        "a proof": lambda n: {"checkpoint": good, "entries": [proof | {"proof": [proof["leaf"]] * n}], "transfer": "a"},
        "a note": lambda n: {"checkpoint": good + "— b YWFhYWFh\n" * n, "entries": [], "transfer": "a"},
        "entries and a note": lambda n: {
            "checkpoint": good + "— b YWFhYWFh\n" * n,
            "entries": [proof] * n,
            "transfer": "a",
        },
        "events": lambda n: {"events": [{}] * n, "next": "a", "more": True},
        "keys": lambda n: {"sign": [{"id": "a", "certificate": pem, "chain": [pem]}] * n, "encrypt": []},
        "a chain": lambda n: {"sign": [{"id": "a", "certificate": pem, "chain": [pem] * n}], "encrypt": []},
        "a successor": lambda n: {
            "vkey": key.text(),
            "origin": "log",
            "checkpoint": good + "— b YWFhYWFh\n" * n,
            "proof": ["YWFh"] * n,
        },
        "a protection": lambda n: {"protection": "a" * n},
    }
    readers: dict[str, Callable[[bytes], object]] = {
        "proof": lambda raw: proofs.check(raw, key, "a", None),
        "succession": lambda raw: succession.check(raw, key),
        "protection": client.published_protection,
        "feed": lambda raw: FeedPage.read(answers.Answer(200, {}, raw, None, None) if False else _Said(raw)),  # type: ignore[arg-type]
        "keys": lambda raw: _offered(raw, "sign"),
        "sample proof": lambda raw: audit.check_proof(raw, sample),
    }
    for which, read in readers.items():
        yield from [
            Try(f"{which}: {name}", read, partial(lambda m, n: json.dumps(m(n)).encode(), m), 2_000)
            for name, m in made.items()
        ]


class _Said:
    """What `FeedPage.read` wants of an answer."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def json(self) -> Any:
        return answers.read_json(self._raw)


@reader(
    "gateway.client.audit.reconciliation:from_json",
    "gateway.client.audit.reconciliation:from_csv",
    "gateway.client.audit.reconciliation:decoded",
)
def statements() -> Iterable[Try]:
    day = datetime.date(2026, 11, 24)
    head = "system,contract,operation,direction,message\n"
    texts: dict[str, Callable[[int], str]] = {
        **TEXTS,
        "messages": lambda n: head + "".join(f"a,b/v1,c,sent,{at}\n" for at in range(n)),
        "systems": lambda n: head + "".join(f"a{at},b/v1,c,sent,a\n" for at in range(n)),
        "one message": lambda n: head + "a,b/v1,c,sent,a\n" * n,
        "wrong lines": lambda n: head + "a,b\n" * n,
        "columns": lambda n: ",".join(f"a{at}" for at in range(n)),
        "one column": lambda n: "system," * n,
        "quotes": lambda n: head + '"' * n,
        "a quote without an end": lambda n: head + '"' + "a\n" * n,
    }
    for name, make in texts.items():
        yield Try(f"CSV: {name}", lambda text: reconciliation.from_csv(text, day), make, 50_000)
        yield Try(f"text: {name}", reconciliation.decoded, partial(lambda m, n: m(n).encode(), make), 50_000)
    item = {"system": "a", "contract": "b/v1", "operation": "c", "direction": "sent"}
    values: dict[str, Callable[[int], Any]] = {
        "items": lambda n: [item | {"system": f"a{at}", "accepted": 1} for at in range(n)],
        "one item": lambda n: [item | {"accepted": 1}] * n,
        "messages": lambda n: [item | {"messages": [str(at) for at in range(n)]}],
        "one message": lambda n: [item | {"messages": ["a"] * n}],
        "digests": lambda n: [item | {"digests": [f"{at:064x}" for at in range(n)]}],
        "wrong items": lambda n: [1] * n,
        "numbers": lambda n: [item | {"messages": list(range(n))}],
    }
    for name, given in values.items():
        yield Try(
            f"JSON: {name}", lambda v: reconciliation.from_json({"day": "2026-11-24", "counts": v}), given, 50_000
        )


@reader("gateway.client.soap:content_of", "gateway.sample_client.wssec:parse")
def kit_xml() -> Iterable[Try]:
    for name, make in XML.items():
        yield Try(f"kit: {name}", kit.content_of, make, 50_000)
        yield Try(f"sample: {name}", wssec.parse, make, 50_000)


@reader("gateway.agent.documents:local")
def agent_texts() -> Iterable[Try]:
    for name, make in list(JSON.items())[::3]:
        yield Try(f"document: {name}", lambda raw: agent_documents.local(raw, "https://a", "http://b"), make, 50_000)
    yield Try("addresses", lambda raw: agent_documents.local(raw, "https://a", "http://b"), again(b"https://a"))
    secret = LocalSecret("a" * 40)
    for name, text in TEXTS.items():
        yield Try(f"secret: {name}", lambda given: secret.check({"authorization": f"Basic {given}"}), text)
        yield Try(f"secret in a header: {name}", lambda given: secret.check({"lgsp-agent-secret": given}), text)


@reader("gateway.agent.open311.forms:read")
def agent_forms() -> Iterable[Try]:
    head = {"content-type": forms.FORM}

    def read(raw: bytes) -> None:
        with suppress(Failure):
            forms.read(head, raw)

    for text in (b"a=b&", b"a", b"%C3%A1", b"=", b"attribute[a]=1&", b"attribute[", b"lat=0000&"):
        yield Try(f"form of {text.decode()}", read, again(text))


@reader("gateway.feeds.cursor:decode")
def cursors() -> Iterable[Try]:
    yield from [Try(name, lambda text: cursor.decode(text, ("a/v1",)), make) for name, make in TEXTS.items()]


@reader(
    "gateway.doors.api.validation:Parameter.read",
    "gateway.doors.api.validation:Checks.read_parameters",
    "gateway.doors.api.validation:Checks.read_form",
    "gateway.doors.api.validation:Checks.read_json",
    "gateway.doors.http.body:target_uri",
    "gateway.doors.http.body:read_body",
    "gateway.doors.documents:soap_document",
    "gateway.doors.http.edge:by_socket",
)
def asked() -> Iterable[Try]:
    spec = {
        "parameters": [
            {"name": "a", "in": "query", "schema": {"type": "string", "pattern": "^([a-z]+)*$"}},
            {"name": "b", "in": "query", "schema": {"type": "integer"}},
        ],
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}},
                        "additionalProperties": False,
                    }
                }
            }
        },
    }
    checks = Checks.compile(spec, lambda each: each)
    form = Checks.compile(
        {"requestBody": {"content": {FORM: {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}}},
        lambda each: each,
    )
    parameter: Parameter = checks.parameters[0]

    class Received:
        def __init__(self, query: str = "", raw: bytes = b"", kind: str = "application/json") -> None:
            self.query, self.body, self.headers = query, raw, {"content-type": kind}

    for name, make in TEXTS.items():
        yield Try(f"parameter: {name}", lambda text: parameter.read(text, []), make)
        yield Try(
            f"query: {name}", lambda text: checks.read_parameters({RECEIVED: Received(f"a={text}")}), make, 50_000
        )
        yield Try(
            f"form: {name}",
            lambda text: form.read_form({RECEIVED: Received(raw=text.encode(), kind=FORM)}),
            make,
            50_000,
        )
        yield Try(f"if-none-match: {name}", lambda text: api_audit._is_known("a", text), make)
        yield Try(f"accept-encoding: {name}", api_audit._takes_gzip, make)
        yield Try(
            f"SOAP document: {name}", lambda text: documents.soap_document(None, text.encode(), "https://a"), make
        )
        yield Try(
            f"target: {name}",
            lambda text: body.target_uri({body.TARGET: b"/" + text.encode(), "headers": []}, "https://a"),
            make,
        )
        yield Try(f"certificate of a proxy: {name}", edge._thumbprint, make)
    yield Try("names", lambda text: _pairs(text, "query", []), lambda n: "&".join(f"a{at}=1" for at in range(n)))
    for name, raw in list(JSON.items())[::3]:
        yield Try(f"JSON: {name}", lambda given: checks.read_json({RECEIVED: Received(raw=given)}), raw, 100_000)
    yield Try(
        "a text of a pattern",
        lambda given: checks.read_json({RECEIVED: Received(raw=given)}),
        again(b"a", b'{"a":"', b'!"}'),
    )

    def received(pieces: list[bytes]) -> bytes:
        left = list(reversed(pieces))

        async def receive() -> dict[str, Any]:
            piece = left.pop()
            return {"type": "http.request", "body": piece, "more_body": bool(left)}

        return asyncio.run(body.read_body(receive, {}, limit=1 << 30, seconds=600))

    yield Try("a body in pieces", received, lambda n: [b"a" * 100] * (n + 1), 50_000)


@reader(
    "gateway.sample_client.fields:read_dictionary",
    "gateway.sample_client.fields:read_bytes",
    "gateway.sample_client.fields:read_string",
    "gateway.sample_client.audit:LogKey.parse",
    "gateway.sample_client.audit:read_checkpoint",
    "gateway.sample_client.audit:Receipt.from_headers",
    "gateway.sample_client.httpsig:verify_request",
    "gateway.sample_client.httpsig:verify_answer",
    "gateway.sample_client.httpsig:digest_fits",
)
def samples() -> Iterable[Try]:
    _, key, good = note()
    sample = audit.LogKey.parse(key.text())
    for name, make in TEXTS.items():
        yield Try(f"fields: {name}", fields.read_dictionary, make)
        yield Try(f"bytes: {name}", lambda text: fields.read_bytes(text, "a"), make, 50_000)
        yield Try(f"string: {name}", fields.read_string, partial(lambda m, n: f'"{m(n)}"', make), 50_000)
        yield Try(f"key: {name}", audit.LogKey.parse, make, 50_000)
        yield Try(
            f"checkpoint: {name}",
            lambda text: audit.read_checkpoint(text, sample),
            partial(lambda m, n: m(n) + "\n\n" + m(n) + "\n", make),
            50_000,
        )
        yield Try(f"receipt: {name}", lambda text: audit.Receipt.from_headers({"lgsp-receipt": text}), make, 50_000)
        yield Try(f"digest: {name}", lambda text: httpsig.digest_fits(text, b""), make, 50_000)
        yield Try(f"signed: {name}", _verified, partial(lambda m, n: m(n).replace("a=", "sig1=", 1), make), 50_000)
    yield Try(
        "signatures below",
        lambda text: audit.read_checkpoint(text, sample),
        lambda n: good + "— b YWFhYWFh\n" * n,
        50_000,
    )


def _verified(text: str) -> object:
    message = httpsig.Message({"signature-input": text, "signature": "sig1=:YQ==:"}, "POST", "https://a")
    return httpsig.verify_request(message, b"", lambda _: [], NOW)


@reader(
    "gateway.sample_client.jose:unseal",
    "gateway.sample_client.wscrypt:decrypt",
    "gateway.sample_client.wssec:verify",
    "gateway.sample_client.audit:included",
    "gateway.sample_client.audit:consistent",
    "gateway.sample_client.signing:verify_raw",
)
def sample_proofs() -> Iterable[Try]:
    private = known().encrypt.private
    certificate = load_pem_x509_certificate(authority.certificate_pem(known().issuer.certificate))
    for name, make in {
        "points": again(b"."),
        "letters": again(b"a"),
        "parts": again(b"YWFh", b"YWFh.YWFh.", b".YWFh.YWFh"),
    }.items():
        yield Try(f"unseal: {name}", lambda raw: jose.unseal(raw, "a", private, lambda _: [], NOW), make)
    for name, make in list(XML.items())[::3]:
        yield Try(f"decrypt: {name}", lambda raw: wscrypt.decrypt(wssec.parse(raw), private, certificate), make, 50_000)  # type: ignore[arg-type]
        yield Try(f"verify: {name}", lambda raw: wssec.verify(wssec.parse(raw), lambda _: None, NOW), make, 50_000)
    yield Try("included", lambda way: audit.included(way[0], 0, 1, way, way[0]), lambda n: [b"a" * 32] * (n + 1))
    yield Try("consistent", lambda way: audit.consistent(1, way[0], 2, way[0], way), lambda n: [b"a" * 32] * (n + 1))
    yield Try("a signature", lambda raw: signing.verify_raw(certificate.public_key(), b"a", raw), again(b"a"))
