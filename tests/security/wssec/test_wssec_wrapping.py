"""Signature wrapping: the classical ways to make a verifier check one element and a reader use another.

Each form keeps the signature right: what was signed is still in the document, unchanged, under its Id. None may pass,
and each refusal says what is wrong.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version
from security.wssec.names import DS, SOAP, WSA, WSSE, WSU
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.cost import seconds
from tests.security.identities import Pair

CHILD = b'<submitAlert xmlns="urn:a"><text>real</text></submitAlert>'
EVIL = b'<submitAlert xmlns="urn:a"><text>evil</text></submitAlert>'
ID = f"{{{WSU}}}Id"


def evil_body(ident: str | None = None) -> Any:
    body = etree.fromstring(f'<soap:Body xmlns:soap="{SOAP}"/>')
    body.append(etree.fromstring(EVIL))
    if ident is not None:
        body.set(ID, ident)
    return body


def swap_body(root: Any, new: Any) -> Any:
    """Takes the signed Body out and puts another in its place."""
    signed = root[1]
    root.remove(signed)
    root.append(new)
    return signed


def security(root: Any) -> Any:
    return root.find(f"{{{SOAP}}}Header/{{{WSSE}}}Security")


def under_header(root: Any) -> None:
    root[0].append(etree.SubElement(root[0], "Wrapper"))
    root[0][-1].append(swap_body(root, evil_body()))


def under_security(root: Any) -> None:
    security(root).append(swap_body(root, evil_body()))


def under_signature_object(root: Any) -> None:
    holder = etree.SubElement(security(root).find(f"{{{DS}}}Signature"), f"{{{DS}}}Object")
    holder.append(swap_body(root, evil_body()))


def inside_the_new_body(root: Any) -> None:
    new = evil_body()
    new[0].append(swap_body(root, new))


def beside_the_body(root: Any) -> None:
    root.append(swap_body(root, evil_body()))


def before_the_header(root: Any) -> None:
    root.insert(0, swap_body(root, evil_body()))


def same_id_first(root: Any) -> None:
    root[0].insert(0, swap_body(root, evil_body("body")))


def same_id_as_plain_attribute(root: Any) -> None:
    new = evil_body()
    new.set("Id", "body")
    etree.SubElement(root[0], "Wrapper").append(swap_body(root, new))


def envelope_in_envelope(root: Any) -> None:
    inner = copy.deepcopy(root)
    for child in list(root):
        root.remove(child)
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    header.append(copy.deepcopy(security(inner)))
    security(inner).getparent().remove(security(inner))
    root.append(evil_body())
    root[1].append(inner)


def action_moved_away(root: Any) -> None:
    action = root.find(f".//{{{WSA}}}Action")
    holder = etree.SubElement(root[0], "Wrapper")
    holder.append(action)
    etree.SubElement(root[0], f"{{{WSA}}}Action").text = "urn:evil"


def action_swapped_in_place(root: Any) -> None:
    """The signed Action stays a direct header under another name's protection: as a second Action."""
    action = root.find(f".//{{{WSA}}}Action")
    fresh = etree.Element(f"{{{WSA}}}Action")
    fresh.text = "urn:evil"
    action.addprevious(fresh)


def timestamp_moved_away(root: Any) -> None:
    stamp = security(root).find(f"{{{WSU}}}Timestamp")
    fresh = copy.deepcopy(stamp)
    del fresh.attrib[ID]
    fresh[0].text, fresh[1].text = "2030-01-01T00:00:00Z", "2030-01-01T00:05:00Z"
    stamp.addprevious(fresh)
    etree.SubElement(root[0], "Wrapper").append(stamp)


def token_moved_away(root: Any) -> None:
    token = security(root).find(f"{{{WSSE}}}BinarySecurityToken")
    fresh = copy.deepcopy(token)
    fresh.set(ID, "token-2")
    token.addprevious(fresh)
    etree.SubElement(root[0], "Wrapper").append(token)
    security(root).find(f".//{{{WSSE}}}Reference").set("URI", "#token-2")


def second_security_header(root: Any) -> None:
    other = etree.SubElement(root[0], f"{{{WSSE}}}Security")
    other.append(security(root).find(f"{{{DS}}}Signature"))


def second_signature(root: Any) -> None:
    security(root).append(copy.deepcopy(security(root).find(f"{{{DS}}}Signature")))


def signature_not_in_security(root: Any) -> None:
    root[0].append(security(root).find(f"{{{DS}}}Signature"))


FORMS: dict[Callable[[Any], None], str] = {
    under_header: "signature.wrapped",
    under_security: "signature.malformed",
    under_signature_object: "signature.malformed",
    inside_the_new_body: "signature.wrapped",
    beside_the_body: "signature.malformed",
    before_the_header: "signature.missing",
    same_id_first: "signature.duplicate-id",
    same_id_as_plain_attribute: "signature.duplicate-id",
    envelope_in_envelope: "signature.wrapped",
    action_moved_away: "signature.wrapped",
    action_swapped_in_place: "signature.malformed",
    timestamp_moved_away: "signature.wrapped",
    token_moved_away: "signature.wrapped",
    second_security_header: "signature.several",
    second_signature: "signature.several",
    signature_not_in_security: "signature.missing",
}


@pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)
@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_wrapped(form: Any, version: Version, p256: Pair, now: float) -> None:
    raw = sign_envelope(
        CHILD, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    own, common = version.namespace.encode(), SOAP.encode()
    root = etree.fromstring(raw.replace(own, common))  # the forms are written in the names of SOAP 1.1
    form(root)
    with pytest.raises(Theirs) as caught:
        verify_envelope(etree.fromstring(etree.tostring(root).replace(common, own)), lambda _: p256.verify, now)
    assert caught.value.code == FORMS[form], caught.value


def test_a_wrapped_body_is_named_with_the_place_where_it_was_found(p256: Pair, now: float) -> None:
    root = etree.fromstring(
        sign_envelope(CHILD, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"))
    )
    under_header(root)
    with pytest.raises(Theirs) as caught:
        verify_envelope(root, lambda _: p256.verify, now)
    assert caught.value.facts == {"id": "body", "found": "soap:Envelope/soap:Header/Wrapper/soap:Body"}


def test_all_forms_are_tried() -> None:
    forms = [
        f
        for n, f in globals().items()
        if inspect.isfunction(f) and list(inspect.signature(f).parameters) == ["root"] and n != "security"
    ]
    assert set(forms) == set(FORMS)


def costly(kind: str) -> bytes:
    if kind == "many Ids":
        return b"".join(b'<a u:Id="i%d" Id="j%d"/>' % (n, n) for n in range(20_000))
    if kind == "the same Id at the end":
        return b"".join(b'<a Id="i%d"/>' % n for n in range(40_000)) + b'<a Id="i39999"/>'
    if kind == "many attributes":
        return b"<a " + b" ".join(b'a%d="x"' % n for n in range(50_000)) + b"/>"
    declared = b" ".join(b'xmlns:n%d="urn:n%d"' % (n, n) for n in range(2000))
    return b"<a " + declared + b">" + b"<b/>" * 2000 + b"</a>"


@pytest.mark.parametrize("kind", ["many Ids", "the same Id at the end", "many attributes", "many prefixes"])
def test_no_envelope_costs_much_before_anything_is_proven(kind: str, p256: Pair, now: float) -> None:
    """A few hundred kilobytes made to be slow (seconds to minutes where nothing guards against it) are refused at
    once."""
    raw = sign_envelope(CHILD, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"))
    raw = raw.replace(b"<text>real</text>", f'<x xmlns:u="{WSU}">'.encode() + costly(kind) + b"</x>")
    if kind == "many prefixes":
        names = " ".join(f"n{n}" for n in range(2000))
        bare = b'exc-c14n#"></ds:Transform>'
        listed = (
            'exc-c14n#"><e:InclusiveNamespaces xmlns:e="http://www.w3.org/2001/10/xml-exc-c14n#" '
            f'PrefixList="{names}"/></ds:Transform>'
        )
        raw = raw.replace(bare, listed.encode())
    root = etree.fromstring(raw)
    plain = seconds(lambda: etree.fromstring(b'<a xmlns:u="urn:u">' + costly("many Ids") + b"</a>"))
    with pytest.raises(Theirs) as caught:
        verify_envelope(root, lambda _: p256.verify, now)
    assert seconds(lambda: verify_envelope(root, lambda _: p256.verify, now)) < 25 * plain
    expected = {"many Ids": "signature.digest-mismatch", "the same Id at the end": "signature.duplicate-id"}
    assert caught.value.code == expected.get(kind, "signature.malformed")
