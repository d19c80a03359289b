"""WS-Security against two other implementations: python-xmlsec (libxmlsec1) and signxml, both ways."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import xmlsec
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import SignatureReference, XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from contracts.wire.soap import V11, V12, Version
from security.pki.authority import certificate_pem, private_pem
from security.wssec.names import BASE64_BINARY, DS, EXC_C14N, SOAP, WSA, WSSE, WSU, X509V3
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import caller_block, receipt_block, sign_envelope, verify_envelope
from tests.security.identities import Pair

CHILD = (
    '<submitAlert xmlns="urn:lgsp:contract:incident-alert:v1"><headline>Cháy rừng &amp; gió '
    "mạnh</headline></submitAlert>"
).encode()


@pytest.fixture(params=["p256", "rsa_pair"])
def pair(request: pytest.FixtureRequest) -> Pair:
    made: Pair = request.getfixturevalue(request.param)
    return made


def our_envelope(pair: Pair, now: float) -> bytes:
    blocks = [
        caller_block("H14.2", "canh-bao"),
        receipt_block("t", [("Intent", bytes(32)), ("Outcome", bytes(32))], "note\n"),
    ]
    return sign_envelope(
        CHILD,
        pair.sign,
        now,
        EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1", to="urn:gw", relates_to="urn:uuid:0"),
        blocks=blocks,
    )


def certificate(pair: Pair) -> bytes:
    return certificate_pem(x509.load_der_x509_certificate(pair.sign.certificate_der))


def xmlsec_verifies(root: Any, pair: Pair) -> None:
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate(pair), xmlsec.constants.KeyDataFormatCertPem)
    for element in root.iter():
        if element.get(f"{{{WSU}}}Id"):
            context.register_id(element, "Id", WSU)
    context.verify(root.find(f".//{{{DS}}}Signature"))


def test_xmlsec_accepts_what_we_make(pair: Pair, now: float) -> None:
    root: Any = etree.fromstring(our_envelope(pair, now))
    xmlsec.tree.add_ids(root, ["Id"])
    xmlsec_verifies(root, pair)


def signxml_verifies(root: Any, pair: Pair, references: int) -> None:
    config = SignatureConfiguration(
        expect_references=references,
        signature_methods=frozenset({SignatureMethod.ECDSA_SHA256, SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        location=".//",
    )
    found = XMLVerifier().verify(root, x509_cert=certificate(pair).decode(), id_attribute="Id", expect_config=config)
    assert isinstance(found, list) and len(found) == references


def test_signxml_accepts_what_we_make(pair: Pair, now: float) -> None:
    signxml_verifies(etree.fromstring(our_envelope(pair, now)), pair, 9)


@pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)
def test_we_accept_what_signxml_makes(pair: Pair, version: Version, now: float) -> None:
    root: Any = etree.fromstring(
        sign_envelope(CHILD, pair.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version)
    )
    security, ours = root.find(f".//{{{WSSE}}}Security"), root.find(f".//{{{DS}}}Signature")
    security.remove(ours)
    method = SignatureMethod.ECDSA_SHA256 if pair.sign.algorithm.startswith("ecdsa") else SignatureMethod.RSA_SHA256
    exclusive = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
    signer = XMLSigner(SignatureConstructionMethod.detached, method, DigestAlgorithm.SHA256, exclusive)
    references = [
        SignatureReference(f"#{ident}", c14n_method=exclusive)
        for ident in ("message-id", "action", "token", "body", "timestamp")
    ]
    key: Any = pair.sign.private
    chain = [certificate(pair).decode()]
    signature: Any = signer.sign(root, key=key, cert=chain, reference_uri=references, id_attribute="Id")
    signature.replace(
        signature.find(f"{{{DS}}}KeyInfo"), ours.find(f"{{{DS}}}KeyInfo")
    )  # X.509 token profile: it knows only plain XML-DSig
    security.append(signature)
    assert verify_envelope(etree.fromstring(etree.tostring(root)), lambda _: pair.verify, now).action == "urn:x"


def _foreign(
    pair: Pair,
    now: float,
    *,
    body: str,
    prefixes: str | None = None,
    info_prefixes: str | None = None,
    enveloped: bool = False,
    indent: bool = False,
    ids: dict[str, str] | None = None,
    outer: str = "",
) -> bytes:
    """An envelope signed by xmlsec, in another stack's manner: other prefixes, declarations at the top, random Ids."""
    from datetime import UTC, datetime

    ids = ids or {"b": "id-1", "t": "TS-2", "x": "X509-3", "a": "id-4", "m": "id-5"}
    at = datetime.fromtimestamp(now, UTC)
    token = base64.b64encode(pair.sign.certificate_der).decode()
    root: Any = etree.fromstring(
        f'<S:Envelope xmlns:S="{SOAP}" xmlns:wsu="{WSU}" xmlns:o="{WSSE}" xmlns:a="{WSA}" {outer}><S:Header>'
        f'<a:Action wsu:Id="{ids["a"]}">urn:x</a:Action><a:MessageID wsu:Id="{ids["m"]}">urn:uuid:1</a:MessageID>'
        '<o:Security S:mustUnderstand="1"><wsu:Timestamp '
        f'wsu:Id="{ids["t"]}"><wsu:Created>{at:%Y-%m-%dT%H:%M:%SZ}</wsu:Created>'
        f"<wsu:Expires>{at:%Y-%m-%dT%H}:05:00Z</wsu:Expires></wsu:Timestamp>"
        f'<o:BinarySecurityToken wsu:Id="{ids["x"]}" EncodingType="{BASE64_BINARY}" '
        f'ValueType="{X509V3}">{token}</o:BinarySecurityToken>'
        f'</o:Security></S:Header><S:Body wsu:Id="{ids["b"]}">{body}</S:Body></S:Envelope>'
    )
    if indent:
        etree.indent(root)
    method = (
        xmlsec.constants.TransformEcdsaSha256
        if pair.sign.algorithm.startswith("ecdsa")
        else xmlsec.constants.TransformRsaSha256
    )
    signature: Any = xmlsec.template.create(root, xmlsec.constants.TransformExclC14N, method, ns="dsig")
    for ident in ids.values():
        reference = xmlsec.template.add_reference(signature, xmlsec.constants.TransformSha256, uri=f"#{ident}")
        if enveloped:
            xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
        transform = xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
        if prefixes is not None:
            etree.SubElement(transform, f"{{{EXC_C14N}}}InclusiveNamespaces", nsmap={"ec": EXC_C14N}).set(
                "PrefixList", prefixes
            )
    if info_prefixes is not None:
        method_element = signature.find(f".//{{{DS}}}CanonicalizationMethod")
        etree.SubElement(method_element, f"{{{EXC_C14N}}}InclusiveNamespaces", nsmap={"ec": EXC_C14N}).set(
            "PrefixList", info_prefixes
        )
    info = xmlsec.template.ensure_key_info(signature)
    holder = etree.SubElement(info, f"{{{WSSE}}}SecurityTokenReference")
    etree.SubElement(holder, f"{{{WSSE}}}Reference").set("URI", f"#{ids['x']}")
    holder[0].set("ValueType", X509V3)
    root.find(f".//{{{WSSE}}}Security").append(signature)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(private_pem(pair.sign.private), xmlsec.constants.KeyDataFormatPem)
    for element in root.iter():
        if element.get(f"{{{WSU}}}Id"):
            context.register_id(element, "Id", WSU)
    context.sign(signature)
    return etree.tostring(root)


BODIES = [
    CHILD.decode(),
    '<p:x xmlns:p="urn:p" a="1" p:b="2"><q xmlns="urn:q" xmlns:z="urn:z" z:k=""/>text<![CDATA[<&>]]>&#13;</p:x>',
    "<plain><wsu:inner/><S:deep><a:deeper o:attr='v'/></S:deep></plain>",
    '<x xmlns:unused="urn:unused" xml:lang="vi">\n  <y/>\t</x>\n tail ',
    "",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "manner",
    [
        {},
        {"indent": True},
        {"enveloped": True},
        {"prefixes": "S wsu o"},
        {"prefixes": "S #default", "info_prefixes": "S o a", "outer": 'xmlns="urn:d"'},
        {"prefixes": "k", "info_prefixes": "k none", "outer": 'xmlns:k="urn:k"'},
    ],
    ids=lambda m: "-".join(m) or "plain",
)
def test_we_accept_what_xmlsec_makes(pair: Pair, now: float, body: str, manner: dict[str, Any]) -> None:
    found = verify_envelope(etree.fromstring(_foreign(pair, now, body=body, **manner)), lambda t: pair.verify, now)
    assert (found.action, found.message_id) == ("urn:x", "urn:uuid:1")


def test_another_draw_of_ids_is_the_same_payload(p256: Pair, now: float) -> None:
    digests = {
        verify_envelope(
            etree.fromstring(_foreign(p256, now, body=BODIES[1], ids={k: f"id-{k}-{draw}" for k in "btxam"})),
            lambda t: p256.verify,
            now,
        ).payload_digest
        for draw in range(3)
    }
    assert len(digests) == 1


names = st.sampled_from(["a", "b", "k:c", "S:d", "wsu:e"])
texts = st.text(alphabet="xyz<&>\"'\r\n\tđ\U0001f30a ", max_size=8)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> str:
    from xml.sax.saxutils import escape, quoteattr

    name = draw(names)
    attributes = draw(st.dictionaries(st.sampled_from(["p", "q", "k:r", "xml:lang"]), texts, max_size=3))
    declared = draw(
        st.sampled_from(["", ' xmlns="urn:other"', ' xmlns:k="urn:k2"', ' xmlns:new="urn:new"', ' xmlns=""'])
    )
    inner = "".join(draw(st.lists(trees(depth - 1), max_size=2))) if depth else ""
    written = "".join(f" {n}={quoteattr(v)}" for n, v in attributes.items())
    return f"<{name}{declared}{written}>{escape(draw(texts)).replace(chr(13), '&#13;')}{inner}</{name}>"


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=trees(), inclusive=st.sampled_from([None, "k", "S k #default", "wsu"]))
def test_any_content_signed_by_xmlsec(body: str, inclusive: str | None, p256: Pair, now: float) -> None:
    raw = _foreign(p256, now, body=body, prefixes=inclusive, outer='xmlns:k="urn:k" xmlns="urn:outer"')
    assert verify_envelope(etree.fromstring(raw), lambda t: p256.verify, now).action == "urn:x"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=trees())
def test_any_content_signed_by_us(body: str, p256: Pair, now: float) -> None:
    """Content in its own canonical form is signed so that xmlsec agrees."""
    holder = etree.fromstring(f'<h xmlns:k="urn:k" xmlns:S="{SOAP}" xmlns:wsu="{WSU}">{body}</h>')
    canonical = etree.tostring(holder[0], method="c14n", exclusive=True, with_tail=False)
    root: Any = etree.fromstring(
        sign_envelope(canonical, p256.sign, now, EnvelopeHeaders(action="urn:x", message_id="m"))
    )
    xmlsec_verifies(root, p256)
    assert verify_envelope(root, lambda t: p256.verify, now).action == "urn:x"
