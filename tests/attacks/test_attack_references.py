"""SignedInfo that leads elsewhere: transforms that would change what is signed, references and addresses that would
make the gateway fetch something.

SignedInfo is changed and its value made anew by the registered key, so that nothing but the profile stands in the way.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sample_client.wssec import DS, EXC_C14N, WSA, sign
from tests.attacks.conftest import Judge
from tests.attacks.enveloping import OPERATION, WHO, Spoil, envelope, tried
from tests.attacks.forging import b64, part, reference, signed_again
from tests.attacks.raw import ask, of

pytestmark = pytest.mark.server


# --- transforms and references ----------------------------------------------------------------------------------------

XSLT = f"""<ds:Transform xmlns:ds="{DS}" Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet version="1.0"
xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><xsl:copy-of select="document('file:///etc/hostname')"/></xsl:template>
</xsl:stylesheet></ds:Transform>""".encode()  # noqa: E501
XPATH = f"""<ds:Transform xmlns:ds="{DS}" Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::*)</ds:XPath>
</ds:Transform>""".encode()
FILTER = f"""<ds:Transform xmlns:ds="{DS}" Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><f:XPath xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2"
Filter="subtract">//*</f:XPath></ds:Transform>""".encode()


def transformed(*transforms: str | bytes) -> Spoil:
    """The Body's Reference with other transforms; its digest that of nothing, which is what they leave over."""

    def spoil(root: etree._Element, who: Identity) -> None:
        info = part(root, "SignedInfo")
        old = next(each for each in info.iter(f"{{{DS}}}Reference") if each.get("URI") == "#body")
        info.remove(old)
        reference(info, "#body", *transforms, digest=b64(hashlib.sha256(b"").digest()))
        signed_again(root, who.signer.sign)

    return spoil


def referring(uri: str | None) -> Spoil:
    """One Reference more."""

    def spoil(root: etree._Element, who: Identity) -> None:
        reference(part(root, "SignedInfo"), uri)
        signed_again(root, who.signer.sign)

    return spoil


def many(number: int) -> Spoil:
    def spoil(root: etree._Element, who: Identity) -> None:
        for _ in range(number):
            reference(part(root, "SignedInfo"), "#body")
        signed_again(root, who.signer.sign)

    return spoil


TRANSFORMS: dict[str, tuple[Spoil, str]] = {
    "XSLT": (transformed(XSLT), "signature.algorithm"),
    "XSLT before exclusive C14N": (transformed(XSLT, EXC_C14N), "signature.algorithm"),
    "XPath": (transformed(XPATH, EXC_C14N), "signature.algorithm"),
    "XPath filter": (transformed(FILTER, EXC_C14N), "signature.algorithm"),
    "base64": (transformed(DS + "base64"), "signature.algorithm"),
    "enveloped-signature alone": (transformed(DS + "enveloped-signature"), "signature.algorithm"),
    "enveloped-signature behind": (transformed(EXC_C14N, DS + "enveloped-signature"), "signature.algorithm"),
    "three of them": (transformed(DS + "enveloped-signature", EXC_C14N, EXC_C14N), "signature.malformed"),
    "decryption": (transformed("http://www.w3.org/2002/07/decrypt#XML", EXC_C14N), "signature.algorithm"),
    "STR-Transform": (
        transformed("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform"),
        "signature.algorithm",
    ),
}

REFERENCES: dict[str, tuple[Spoil, str]] = {
    "the whole document": (referring(""), "signature.malformed"),
    "no URI": (referring(None), "signature.malformed"),
    "file:": (referring("file:///etc/hostname"), "signature.malformed"),
    "a path": (referring("/etc/hostname"), "signature.malformed"),
    "an address": (referring("http://127.0.0.1:{canary}/x"), "signature.malformed"),
    "an address with a fragment": (referring("http://127.0.0.1:{canary}/x#body"), "signature.malformed"),
    "XPointer, the root": (referring("#xpointer(/)"), "signature.malformed"),
    "XPointer, an Id": (referring("#xpointer(id('body'))"), "signature.malformed"),
    "an attachment": (referring("cid:x"), "signature.malformed"),
    "an Id that is not there": (referring("#nowhere"), "signature.malformed"),
    "an Id with a quotation mark": (referring("#x' or '1'='1"), "signature.malformed"),
    "the Body twice": (many(1), "signature.malformed"),
    "a thousand": (many(1_000), "signature.malformed"),
}


@pytest.fixture(scope="module")
def canary() -> Iterator[tuple[int, list[Any]]]:
    """A listener that nobody may call."""
    called: list[Any] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            called.append(peer)
            connection.close()

    threading.Thread(target=listen, daemon=True).start()
    yield listener.getsockname()[1], called
    listener.close()
    assert not called, "the gateway called an address that a message named"


@pytest.mark.attack("transforms in a signature")
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(world: World, judge: Judge, name: str) -> None:
    spoil, code = TRANSFORMS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("references to elsewhere")
@pytest.mark.parametrize("name", REFERENCES)
def test_references(world: World, judge: Judge, canary: tuple[int, list[Any]], name: str) -> None:
    spoil, code = REFERENCES[name]

    def with_port(root: etree._Element, who: Identity) -> None:
        spoil(root, who)
        for each in root.iter(f"{{{DS}}}Reference"):
            if "{canary}" in each.get("URI", ""):
                each.set("URI", each.get("URI", "").format(canary=canary[0]))
        signed_again(root, who.signer.sign)

    judge.refused(tried(world, with_port), code)


@pytest.mark.attack("SSRF")
@pytest.mark.parametrize("name", ["ReplyTo", "FaultTo"])
def test_an_answer_to_elsewhere(world: World, judge: Judge, canary: tuple[int, list[Any]], name: str) -> None:
    """WS-Addressing lets a caller name where the answer goes: it goes back on the connection, and nowhere else."""
    prepared, who = envelope(world, sign_it=False), world.identity(WHO)
    root = etree.fromstring(prepared.body)
    to = etree.SubElement(root[0], f"{{{WSA}}}{name}")
    etree.SubElement(to, f"{{{WSA}}}Address").text = f"http://127.0.0.1:{canary[0]}/callback"
    action = f"urn:lgsp:contract:incident-alert:v1:{OPERATION}"
    headers = [
        ("Action", "action", action),
        ("MessageID", "message-id", f"urn:uuid:{uuid.uuid4()}"),
        ("To", "to", prepared.target),
    ]
    sign(root, who.signer, headers=headers, now=time.time())
    told = ask(who, of(Prepared("POST", prepared.path, prepared.target, prepared.headers, etree.tostring(root))))
    judge.refused(told, "soap.reply-elsewhere")
