"""What a provider under test is tried with: repeats, bad signatures, unknown fields, big, empty and accented messages.

A probe is the text of a message in the provider's format, and what must come of it. `AsGateway` sends it with the
signature of a gateway, so that also messages travel which a gateway itself would refuse.
Invariant: `EXPECTED` holds for every contract; how an answer looks follows from the contract.
"""

from __future__ import annotations

import json
import secrets
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from lxml import etree

from contracts.base.errors import Failure
from contracts.canonical.model import Array, Operation, Scalar, Struct, Type
from contracts.codecs.codec import Codec
from contracts.compiled.contract import CompiledContract
from contracts.wire.soap import parse_xml
from gateway.sample_client.httpsig import Message, digest_header, sign_request
from gateway.sample_client.signing import Signer
from gateway.sample_client.transport import RawAnswer, Transport
from gateway.sample_client.wssec import ID, LGSP, new_envelope, parse, serialise, sign
from gateway.sandbox.simulation.answers import examples

Expected = Literal["carried-out", "same-answer", "refused", "no-fault"]
# `no-fault`: it may take the message or refuse it, but says so with an answer of its own
EXPECTED: Final[Mapping[str, Expected]] = {
    "repeat": "same-answer",
    "bad-signature": "refused",
    "unknown-field": "no-fault",
    "big": "carried-out",
    "empty": "refused",
    "diacritics": "carried-out",
}
# every letter of Vietnamese with each tone, in Unicode form NFC
LETTERS: Final = (
    "aàảãáạăằẳẵắặâầẩẫấậeèẻẽéẹêềểễếệiìỉĩíịoòỏõóọôồổỗốộơờởỡớợuùủũúụưừửữứựyỳỷỹýỵđ "
    "AÀẢÃÁẠĂẰẲẴẮẶÂẦẨẪẤẬEÈẺẼÉẸÊỀỂỄẾỆIÌỈĨÍỊOÒỎÕÓỌÔỒỔỖỐỘƠỜỞỠỚỢUÙỦŨÚỤƯỪỬỮỨỰYỲỶỸÝỴĐ "
)
_BIG: Final = 20_000  # characters of a text, where the contract allows as many
_MORE: Final = 3  # items of each list, where the contract allows as many
_MOST: Final = 2_000_000  # bytes of a big message


@dataclass(frozen=True, slots=True)
class Probe:
    kind: str
    body: bytes
    expected: Expected


def probes(
    compiled: CompiledContract, operation: Operation, codec: Codec, media: Literal["json", "xml"]
) -> list[Probe]:
    """Every probe of an operation that its provider is called by POST for. Kinds that no message can show are left
    out.
    """
    request = operation.request
    plain = next(_written(compiled, operation, codec, media, examples(compiled, request)), b"")
    bodies = {"repeat": plain, "bad-signature": plain, "unknown-field": _with_unknown(plain, media), "empty": b""}
    struct = compiled.messages[request]
    for kind, change in (("big", _bigger), ("diacritics", _accented)):
        changed = (change(struct, each) for each in examples(compiled, request))
        valid = (each for each in changed if not compiled.validate(request, each))
        written = _written(compiled, operation, codec, media, valid)
        bodies[kind] = next((body for body in written if len(body) <= _MOST), b"")
    return [Probe(kind, body, EXPECTED[kind]) for kind, body in bodies.items() if body or kind == "empty"]


def _written(
    compiled: CompiledContract, operation: Operation, codec: Codec, media: str, messages: Any
) -> Iterator[bytes]:
    for message in messages:
        with suppress(Failure):
            if media == "xml":
                yield codec.write_xml(operation.request, message, operation.name)
            else:
                yield codec.write_json(operation.request, message)


def _with_unknown(body: bytes, media: str) -> bytes:
    if not body:
        return b""
    if media == "json":
        return json.dumps(json.loads(body) | {"truong_la": "x"}, ensure_ascii=False).encode()
    root = parse_xml(body)
    etree.SubElement(root, "truong-la").text = "x"
    return etree.tostring(root, method="c14n", exclusive=True)


def _bigger(type_: Type, value: Any) -> Any:
    """Free texts as long, and lists as many, as the contract allows within bounds."""
    if isinstance(type_, Array) and isinstance(value, list) and value:
        most = min(_MORE, type_.most or _MORE)
        return [_bigger(type_.items, value[number % len(value)]) for number in range(max(most, len(value)))]
    return _texts(type_, value, lambda most: (LETTERS * (_BIG // len(LETTERS) + 1))[: min(most, _BIG)], _bigger)


def _accented(type_: Type, value: Any) -> Any:
    if isinstance(type_, Array) and isinstance(value, list):
        return [_accented(type_.items, each) for each in value]
    return _texts(type_, value, lambda most: LETTERS[:most].strip(), _accented)


def _texts(type_: Type, value: Any, text: Any, below: Any) -> Any:
    if isinstance(type_, Struct) and isinstance(value, dict) and "absent" not in value:
        types = {field.name: field.type for field in type_.fields}
        return {name: below(types[name], each) if name in types else each for name, each in value.items()}
    free = isinstance(type_, Scalar) and type_.kind == "string" and not (type_.values or type_.pattern or type_.format)
    if free and isinstance(type_, Scalar) and not type_.binary and isinstance(value, str):
        return text(type_.max_length or _BIG)
    return value


@dataclass(slots=True)
class AsGateway:
    """Calls a system as a gateway does. `signer` and `context` are the gateway's, or those of a trial authority."""

    signer: Signer
    context: ssl.SSLContext
    caller: str = "H14.5/mo-phong"
    seconds: float = 10.0

    def rest(self, address: str, body: bytes, transfer: str | None = None, *, spoil: bool = False) -> RawAnswer:
        """POST of JSON to the whole address of an operation."""
        transfer, moment = transfer or str(uuid.uuid4()), int(time.time())
        headers = {
            "accept": "application/json",
            "content-type": "application/json",
            "content-digest": digest_header(body),
            "idempotency-key": f'"{transfer}"',
            "lgsp-transfer": transfer,
            "lgsp-caller": self.caller,
        }
        headers |= sign_request(
            Message(headers, "POST", address),
            self.signer,
            created=moment,
            expires=moment + 60,
            nonce=secrets.token_urlsafe(18),
        )
        return self._send(address, headers, body + b" " if spoil else body)

    def soap(
        self, address: str, action: str, body: bytes, transfer: str | None = None, *, spoil: bool = False
    ) -> RawAnswer:
        """A signed SOAP 1.1 envelope around one element, or around nothing."""
        block = etree.Element(f"{{{LGSP}}}Caller", nsmap={"lgsp": LGSP})
        block.text = self.caller
        block.set(ID, "caller")
        headers = [
            ("Action", "action", action),
            ("MessageID", "message-id", f"urn:uuid:{transfer or uuid.uuid4()}"),
            ("To", "to", address),
        ]
        envelope = new_envelope(parse(body) if body else None)
        signed = sign(envelope, self.signer, headers=headers, now=time.time(), blocks=[block])
        if spoil:
            etree.SubElement(signed[1], "sau-khi-ky")
        sent = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{action}"', "accept": "text/xml"}
        return self._send(address, sent, serialise(signed))

    def _send(self, address: str, headers: dict[str, str], body: bytes) -> RawAnswer:
        where = urlsplit(address)
        transport = Transport(f"{where.scheme}://{where.netloc}", self.context, self.seconds)
        try:
            return transport.send("POST", where.path, headers, body)
        finally:
            transport.close()
