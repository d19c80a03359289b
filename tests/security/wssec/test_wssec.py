"""WS-Security: what is accepted, and that each thing wrong gets its own refusal."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from security.wssec.names import DS, LGSP, SOAP, WSA, WSSE, WSU
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import VerifiedEnvelope, caller_block, receipt_block, sign_envelope, verify_envelope
from tests.security.identities import Pair

CHILD = (
    b'<submitAlert xmlns="urn:lgsp:contract:incident-alert:v1"><identifier>a &amp; '
    b"b</identifier><sent>2026-11-24</sent></submitAlert>"
)
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def parse(raw: bytes) -> Any:
    return etree.fromstring(raw, PARSER)


def make(pair: Pair, now: float, body: bytes = CHILD, blocks: Sequence[tuple[str, bytes]] = (), **more: Any) -> bytes:
    addressed = EnvelopeHeaders(**{"action": "urn:x:submit", "message_id": "urn:uuid:1", "to": "urn:gw"} | more)
    return sign_envelope(body, pair.sign, now, addressed, blocks=blocks)


def verify(raw: Any, pair: Pair, now: float) -> VerifiedEnvelope:
    root = parse(raw) if isinstance(raw, bytes) else raw
    return verify_envelope(root, lambda t: pair.verify if t == pair.verify.thumbprint else None, now)


def refused(raw: Any, pair: Pair, now: float) -> Theirs:
    with pytest.raises(Theirs) as caught:
        verify(raw, pair, now)
    return caught.value


def test_what_we_sign_we_verify(p256: Pair, now: float) -> None:
    blocks = [caller_block("H14.2", "canh-bao"), receipt_block("t-1", [("Intent", b"\x01" * 32)], "note\n")]
    found = verify(make(p256, now, relates_to="urn:uuid:0", blocks=blocks), p256, now)
    assert (found.action, found.message_id, found.to, found.relates_to) == (
        "urn:x:submit",
        "urn:uuid:1",
        "urn:gw",
        "urn:uuid:0",
    )
    assert found.caller == "H14.2/canh-bao"
    receipt: Any = found.receipt
    assert receipt.findtext(f"{{{LGSP}}}Transfer") == "t-1"
    assert base64.b64decode(receipt.findtext(f"{{{LGSP}}}Intent")) == b"\x01" * 32
    assert (found.created, found.expires) == (now, now + 300)
    assert found.key == p256.verify
    assert found.body.tag == f"{{{SOAP}}}Body"


def test_rsa(rsa_pair: Pair, now: float) -> None:
    assert verify(make(rsa_pair, now), rsa_pair, now).key.algorithm == "rsa-v1_5-sha256"


def test_an_rsa_key_registered_for_pss_signs_xml_with_pkcs1(pss_pair: Pair, now: float) -> None:
    assert verify(make(pss_pair, now), pss_pair, now).key == pss_pair.verify


def test_ed25519_has_no_place_in_xml(ed25519_pair: Pair, now: float) -> None:
    with pytest.raises(Theirs) as caught:
        make(ed25519_pair, now)
    assert caught.value.code == "signature.algorithm"


def test_every_signed_part_is_its_own_canonical_form(p256: Pair, now: float) -> None:
    """The invariant of the signer: canonicalising a part of the finished envelope gives the bytes that were written."""
    raw = make(
        p256,
        now,
        relates_to="urn:r",
        blocks=[caller_block("H14.2", "canh-bao"), receipt_block("t", [("Intent", bytes(32))], "n")],
    )
    root = parse(raw)
    parts = root.findall(f".//*[@{{{WSU}}}Id]")
    assert len(parts) == 9
    for part in [*parts, root.find(f".//{{{DS}}}SignedInfo")]:
        assert etree.tostring(part, method="c14n", exclusive=True, with_tail=False) in raw


FAULT = f'<soap:Fault xmlns:soap="{SOAP}"><faultcode>soap:Client</faultcode></soap:Fault>'.encode()


@pytest.mark.parametrize(
    "body",
    [
        FAULT,
        f'<a xmlns:wsu="{WSU}" wsu:Id="inner"><soap:b xmlns:soap="{SOAP}"/></a>'.encode(),
        b"<a></a>",
        b'<a xmlns="urn:u"><b xmlns=""></b></a>',
    ],
)
def test_content_that_brings_our_own_prefixes(body: bytes, p256: Pair, now: float) -> None:
    assert len(verify(make(p256, now, body), p256, now).body) == 1


def test_texts_are_escaped(p256: Pair, now: float) -> None:
    text = "a<b>&c\r]]>"
    assert verify(make(p256, now, action=text), p256, now).action == text


def test_payload_digest_does_not_depend_on_the_id(p256: Pair, now: float) -> None:
    """Stacks that draw a new wsu:Id for each signing must be able to repeat a message."""
    first = verify(make(p256, now), p256, now)
    second = verify(make(p256, now + 1), p256, now + 1)
    other = verify(make(p256, now, CHILD.replace(b"24", b"25")), p256, now)
    assert first.payload_digest == second.payload_digest != other.payload_digest
    plain = f'<soap:Body xmlns:soap="{SOAP}" xmlns:wsu="{WSU}">'.encode() + CHILD + b"</soap:Body>"
    assert first.payload_digest == hashlib.sha256(plain).digest()
    assert first.replay_key != second.replay_key


def test_whitespace_is_free(p256: Pair, now: float) -> None:
    """Line breaks between the parts, and in base64, break nothing."""
    raw = make(p256, now)
    root = parse(raw)
    value = root.find(f".//{{{DS}}}SignatureValue")
    value.text = "\n" + value.text[:30] + "\n   " + value.text[30:] + "\n"
    for element in (root, root[0], root.find(f".//{{{WSSE}}}Security"), root.find(f".//{{{DS}}}Signature")):
        element.text = "\n  "
        for child in element:
            child.tail = "\n  "
    assert verify(etree.tostring(root), p256, now).action == "urn:x:submit"


@pytest.mark.parametrize(
    ("old", "new", "expected", "part"),
    [
        (b"a &amp; b", b"a &amp; c", "signature.digest-mismatch", "soap:Body"),
        (b"urn:x:submit", b"urn:x:other", "signature.digest-mismatch", "wsa:Action"),
        (b"urn:uuid:1", b"urn:uuid:2", "signature.digest-mismatch", "wsa:MessageID"),
        (b">urn:gw<", b">urn:gx<", "signature.digest-mismatch", "wsa:To"),
        (b"07:00:00.000Z", b"07:00:01.000Z", "signature.digest-mismatch", "wsu:Timestamp"),
        (b"H14.2/canh-bao", b"H14.0/canh-bao", "signature.digest-mismatch", "lgsp:Caller"),
    ],
)
def test_tampering_names_the_part(old: bytes, new: bytes, expected: str, part: str, p256: Pair, now: float) -> None:
    raw = make(p256, now, blocks=[caller_block("H14.2", "canh-bao")])
    failure = refused(raw.replace(old, new), p256, now)
    assert (failure.code, failure.facts["part"]) == (expected, part)


def resign(root: Any, pair: Pair) -> bytes:
    """Gives the envelope a right signature over whatever SignedInfo it now has."""
    info = root.find(f".//{{{DS}}}SignedInfo")
    value = root.find(f".//{{{DS}}}SignatureValue")
    value.text = base64.b64encode(
        pair.sign.sign_xml(etree.tostring(info, method="c14n", exclusive=True, with_tail=False))
    ).decode()
    return etree.tostring(root)


@pytest.mark.parametrize(
    ("ident", "part"),
    [
        ("body", "soap:Body"),
        ("timestamp", "wsu:Timestamp"),
        ("token", "wsse:BinarySecurityToken"),
        ("action", "wsa:Action"),
        ("message-id", "wsa:MessageID"),
        ("to", "wsa:To"),
        ("caller", "lgsp:Caller"),
    ],
)
def test_each_part_must_be_covered(ident: str, part: str, p256: Pair, now: float) -> None:
    root = parse(make(p256, now, blocks=[caller_block("H14.2", "canh-bao")]))
    info = root.find(f".//{{{DS}}}SignedInfo")
    info.remove(next(r for r in info if r.get("URI") == f"#{ident}"))
    failure = refused(resign(root, p256), p256, now)
    assert (failure.code, failure.facts["missing"]) == ("signature.not-covering", part)


def test_headers_added_on_the_way_are_not_covered(p256: Pair, now: float) -> None:
    raw = make(p256, now)
    for added, name in [
        (f'<wsa:ReplyTo xmlns:wsa="{WSA}"/>', "wsa:ReplyTo"),
        (f'<l:Caller xmlns:l="{LGSP}">H14.0/x</l:Caller>', "lgsp:Caller"),
    ]:
        failure = refused(raw.replace(b"<soap:Header>", b"<soap:Header>" + added.encode()), p256, now)
        assert (failure.code, failure.facts["missing"]) == ("signature.not-covering", name)
    harmless = b'<soap:Header><t:Trace xmlns:t="urn:t">1</t:Trace>'
    assert verify(raw.replace(b"<soap:Header>", harmless), p256, now).caller is None


def edit(change: Callable[[Any], object]) -> Callable[[Pair, float], bytes]:
    """A change of the parsed envelope, then a right signature again: only the rules stand in the way."""

    def run(pair: Pair, now: float) -> bytes:
        root = parse(make(pair, now))
        change(root)
        return resign(root, pair)

    return run


def find(root: Any, local: str) -> Any:
    return next(e for e in root.iter() if etree.QName(e).localname == local)


def set_at(local: str, attribute: str, value: Any) -> Callable[[Pair, float], bytes]:
    return edit(lambda root: find(root, local).set(attribute, value))


def drop(local: str) -> Callable[[Pair, float], bytes]:
    return edit(lambda root: find(root, local).getparent().remove(find(root, local)))


def double(local: str) -> Callable[[Pair, float], bytes]:
    def change(root: Any) -> None:
        element = find(root, local)
        element.addnext(etree.fromstring(etree.tostring(element, with_tail=False)))

    return edit(change)


def add(local: str, xml: str) -> Callable[[Pair, float], bytes]:
    return edit(lambda root: find(root, local).append(etree.fromstring(xml)))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            set_at("CanonicalizationMethod", "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            "signature.algorithm",
        ),
        (
            set_at("CanonicalizationMethod", "Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
            "signature.algorithm",
        ),
        (set_at("SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"), "signature.algorithm"),
        (
            set_at("SignatureMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
            "signature.algorithm",
        ),
        (set_at("SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"), "signature.algorithm"),
        (set_at("DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1"), "signature.algorithm"),
        (set_at("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"), "signature.algorithm"),
        (set_at("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116"), "signature.algorithm"),
        (set_at("Reference", "URI", ""), "signature.malformed"),
        (set_at("Reference", "URI", "#"), "signature.malformed"),
        (set_at("Reference", "URI", "http://example.vn/x"), "signature.malformed"),
        (set_at("Reference", "URI", "file:///etc/passwd"), "signature.malformed"),
        (set_at("Reference", "URI", "#xpointer(id('body'))"), "signature.malformed"),
        (set_at("Reference", "URI", "#nowhere"), "signature.malformed"),
        (set_at("Reference", "URI", "#timestamp"), "signature.digest-mismatch"),
        (set_at("BinarySecurityToken", "ValueType", "urn:other"), "signature.malformed"),
        (set_at("BinarySecurityToken", "EncodingType", "urn:other"), "signature.malformed"),
        (drop("Transforms"), "signature.malformed"),
        (drop("KeyInfo"), "signature.malformed"),
        (drop("DigestValue"), "signature.malformed"),
        (drop("CanonicalizationMethod"), "signature.malformed"),
        (drop("Timestamp"), "signature.missing"),
        (drop("BinarySecurityToken"), "signature.missing"),
        (drop("Action"), "signature.malformed"),
        (drop("Body"), "signature.malformed"),
        (double("Timestamp"), "signature.several"),
        (double("BinarySecurityToken"), "signature.several"),
        (double("Body"), "signature.malformed"),
        (double("Action"), "signature.malformed"),
        (double("Reference"), "signature.malformed"),
        (add("Security", f'<wsse:UsernameToken xmlns:wsse="{WSSE}"/>'), "signature.malformed"),
        (add("Signature", f'<ds:Object xmlns:ds="{DS}"/>'), "signature.malformed"),
        (
            add("SignatureMethod", f'<ds:HMACOutputLength xmlns:ds="{DS}">1</ds:HMACOutputLength>'),
            "signature.algorithm",
        ),
        (add("Header", f'<wsa:Action xmlns:wsa="{WSA}">urn:evil</wsa:Action>'), "signature.malformed"),
        (add("Header", f'<wsa:Unheard xmlns:wsa="{WSA}"/>'), "signature.malformed"),
        (add("Header", f'<wsse:Security xmlns:wsse="{WSSE}"/>'), "signature.several"),
        (add("submitAlert", f'<x xmlns:u="{WSU}" u:Id="body"/>'), "signature.duplicate-id"),
        (add("submitAlert", '<x Id="token"/>'), "signature.duplicate-id"),
        (add("submitAlert", '<x ID="timestamp"/>'), "signature.duplicate-id"),
        (add("submitAlert", '<x xml:id="action"/>'), "signature.duplicate-id"),
        (edit(lambda r: find(r, "KeyInfo")[0][0].set("URI", "#body")), "signature.malformed"),
        (edit(lambda r: find(r, "KeyInfo")[0][0].set("URI", "#x")), "signature.malformed"),
        (edit(lambda r: setattr(find(r, "BinarySecurityToken"), "text", "AAAA")), "signature.unknown-key"),
        (edit(lambda r: setattr(find(r, "BinarySecurityToken"), "text", "!")), "signature.malformed"),
        (edit(lambda r: setattr(find(r, "Created"), "text", "2026-11-24T07:00:00+07:00")), "signature.digest-mismatch"),
    ],
)
def test_the_rules_hold_even_under_a_right_signature(
    made: Callable[[Pair, float], bytes], expected: str, p256: Pair, now: float
) -> None:
    assert refused(made(p256, now), p256, now).code == expected


def test_what_is_not_an_envelope(p256: Pair, now: float) -> None:
    for raw, expected in [
        (b"<a/>", "signature.malformed"),
        (f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), "signature.missing"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(), "signature.missing"),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body/></s:Envelope>'.encode(), "signature.missing"),
        (b'<s:Envelope xmlns:s="urn:soap:3"/>', "signature.malformed"),
    ]:
        assert refused(raw, p256, now).code == expected


def reference_again(root: Any, pair: Pair, ident: str) -> bytes:
    """Brings the digest of a part up to date, then signs again."""
    part = next(e for e in root.iter() if e.get(f"{{{WSU}}}Id") == ident)
    reference = next(e for e in root.iter(f"{{{DS}}}Reference") if e.get("URI") == f"#{ident}")
    canonical = etree.tostring(part, method="c14n", exclusive=True, with_tail=False)
    reference.find(f"{{{DS}}}DigestValue").text = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
    return resign(root, pair)


def test_what_has_no_canonical_form_is_refused(p256: Pair, now: float) -> None:
    raw = make(p256, now).replace(b"urn:lgsp:contract:incident-alert:v1", b"relative")
    failure = refused(raw, p256, now)
    assert (failure.code, failure.facts["where"]) == ("signature.malformed", "soap:Body")


def test_action_and_message_id_are_needed(p256: Pair, now: float) -> None:
    for local, ident in [("Action", "action"), ("MessageID", "message-id")]:
        root = parse(make(p256, now))
        info = find(root, "SignedInfo")
        info.remove(next(r for r in info if r.get("URI") == f"#{ident}"))
        find(root, "Header").remove(find(root, local))
        failure = refused(resign(root, p256), p256, now)
        assert (failure.code, failure.facts["missing"]) == ("signature.header-missing", f"wsa:{local}")


def test_a_comment_cannot_hide_the_end_of_a_text(p256: Pair, now: float) -> None:
    """Exclusive C14N drops comments, so the signature holds; a reader of the first text node alone would be
    deceived."""
    raw = make(p256, now, action="urn:x:submit").replace(b"urn:x:submit<", b"urn:x:sub<!-- -->mit<")
    assert refused(raw, p256, now).code == "signature.malformed"


def test_a_malleated_signature_has_the_same_replay_key(p256: Pair, now: float) -> None:
    raw = make(p256, now)
    root = parse(raw)
    value = find(root, "SignatureValue")
    sig = base64.b64decode(value.text)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    value.text = base64.b64encode(sig[:32] + (order - int.from_bytes(sig[32:], "big")).to_bytes(32, "big")).decode()
    assert verify(root, p256, now).replay_key == verify(raw, p256, now).replay_key


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_never_changes_what_is_read(data: st.DataObject, p256: Pair, now: float) -> None:
    """Whatever byte is flipped, either the envelope is refused or all that is read from it is as it was."""
    raw = make(p256, now, blocks=[caller_block("H14.2", "canh-bao")])
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes([data.draw(st.integers(32, 126))]) + raw[at + 1 :]
    try:
        found = verify(changed, p256, now)
    except (Theirs, etree.XMLSyntaxError):
        return
    was = verify(raw, p256, now)
    assert (
        found.action,
        found.message_id,
        found.to,
        found.caller,
        found.created,
        found.expires,
        found.payload_digest,
    ) == (
        was.action,
        was.message_id,
        was.to,
        was.caller,
        was.created,
        was.expires,
        was.payload_digest,
    )
