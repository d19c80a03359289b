"""Altered messages, for tests and demonstrations of refusals.

Each function fits the `mutate` argument of `RestClient.prepare` and `SoapClient.prepare`: it gets signed headers and
body and spoils them in one way. Invariant: it changes nothing else, so the refusal has one possible reason.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Final

from lxml import etree

from gateway.sample_client.rest import Mutate
from gateway.sample_client.wssec import ID, SOAP, Element

Spoiled = tuple[dict[str, str], bytes]
_EVIL: Final = "urn:example:wrapper"


def replace_text(old: str, new: str) -> Mutate:
    """Change a value after signing. Lengths may differ; the rest stays."""

    def mutate(headers: dict[str, str], body: bytes) -> Spoiled:
        if old.encode() not in body:
            raise ValueError(f"{old!r} is not in the message")
        return headers, body.replace(old.encode(), new.encode(), 1)

    return mutate


def drop_header(name: str) -> Mutate:
    """Remove a header after signing."""
    return lambda headers, body: ({key: value for key, value in headers.items() if key != name}, body)


def set_header(name: str, value: str) -> Mutate:
    """Set a header after signing."""
    return lambda headers, body: (headers | {name: value}, body)


def spoil_signature(headers: dict[str, str], body: bytes) -> Spoiled:
    """A REST signature of the right form with one bit flipped."""
    label, _, value = headers["signature"].partition("=")
    raw = bytearray(base64.b64decode(value.strip(":")))
    raw[0] ^= 1
    return headers | {"signature": f"{label}=:{base64.b64encode(bytes(raw)).decode()}:"}, body


def add_doctype(headers: dict[str, str], body: bytes) -> Spoiled:
    """An external entity before the envelope, the usual attempt to read a server's files (XXE)."""
    start = body.index(b"<", body.index(b"?>") + 2 if body.startswith(b"<?xml") else 0)
    doctype = b'<!DOCTYPE soap:Envelope [<!ENTITY tep SYSTEM "file:///etc/hostname">]>\n'
    return headers, body[:start] + doctype + body[start:]


def wrap_body(forge: Callable[[Element], None]) -> Mutate:
    """XML signature wrapping: the signed Body moves aside, and an unsigned forged one takes its place.

    `forge` alters the copy of the Body's element. A reader that finds elements by Id alone still verifies
    the signature, over the moved Body.
    """

    def mutate(headers: dict[str, str], body: bytes) -> Spoiled:
        root = etree.fromstring(body)
        header, signed = root.find(f"{{{SOAP}}}Header"), root.find(f"{{{SOAP}}}Body")
        if header is None or signed is None or not len(signed):
            raise ValueError("not a signed envelope")
        forged = deepcopy(signed)
        forged.set(ID, "body-of-somebody-else")
        forge(forged[0])
        root.replace(signed, forged)
        etree.SubElement(header, f"{{{_EVIL}}}Wrapper").append(signed)
        return headers, etree.tostring(root, encoding="utf-8", xml_declaration=True)

    return mutate
