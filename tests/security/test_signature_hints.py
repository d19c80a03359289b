"""What a sandbox tells of a wrong signature: each mistake is named by trying it, and the work is bounded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from security.http_signatures import HttpRequest, sign_request, signature_base, verify_request
from security.keys import SigningKey, VerifyKey
from security.signature_fields import find_signature
from security.signature_hints import MAX_TRIES, Hints, http_hints, soap_hints
from security.wssec.names import DS
from security.wssec.sign import EnvelopeHeaders, sign_envelope
from security.wssec.verify import verify_envelope
from tests.security.joseparts import NOW, signer

TARGET = "https://trao-doi.example:8443/indicator/v1/values?indicator=KT-05&area=04%20a%2B"
HEADERS = {"authorization": "Bearer x", "content-type": "application/json", "host": "10.1.2.3:8443"}
KEY, OTHER, RSA = signer("y-te"), signer("y-te-2"), signer("y-te-3", "RSA-3072")
KEYS = [each.verify_key() for each in (KEY, OTHER, RSA)]


def _signed(target: str = TARGET, method: str = "POST") -> HttpRequest:
    """A request to TARGET whose signature was made over `target`."""
    made = HttpRequest(method, target, dict(HEADERS), b'{"a": 1}\n')
    headers = HEADERS | sign_request(made, KEY, NOW)
    return made._replace(method="POST", target_uri=TARGET, headers=headers)


def _with_base(change: Callable[[bytes], bytes], encode: Callable[[bytes], bytes] = lambda raw: raw) -> HttpRequest:
    request = _signed()
    signed = find_signature(request.headers, "lgsp-request")
    value = encode(KEY.sign(change(signature_base(request, signed.inner))))
    headers = {**request.headers, "signature": f"sig1=:{base64.b64encode(value).decode()}:"}
    return request._replace(headers=headers)


def _der(raw: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _refused(request: HttpRequest, keys: list[VerifyKey] = KEYS) -> Hints:
    by_id = {key.key_id: key for key in keys}
    with pytest.raises(Theirs) as refused:
        verify_request(request, lambda key_id: by_id.get(key_id), NOW)
    hints = http_hints(refused.value, request, keys)
    assert hints is not None
    return hints


CASES: dict[str, HttpRequest] = {
    "DER": _with_base(lambda base: base, _der),
    "without scheme and authority": _signed("/indicator/v1/values?indicator=KT-05&area=04%20a%2B"),
    "without the query": _signed(TARGET.partition("?")[0]),
    "path alone": _signed("/indicator/v1/values"),
    "with http": _signed(TARGET.replace("https", "http")),
    "a slash at the end": _signed(TARGET + "/"),
    "query decoded": _signed(TARGET.replace("%20", " ").replace("%2B", "+")),
    "percent-encodings in lower case": _signed(TARGET.replace("%2B", "%2b")),
    "another authority": _signed(TARGET.replace("trao-doi.example:8443", "10.1.2.3:8443")),
    "lower case": _signed(method="post"),
    "line end after": _with_base(lambda base: base + b"\n"),
    "CR LF": _with_base(lambda base: base.replace(b"\n", b"\r\n")),
    "hashed again": _with_base(lambda base: hashlib.sha256(base).digest()),
    "without the line": _with_base(lambda base: base.rpartition(b"\n")[0]),
}


def test_an_empty_query_that_was_not_sent_is_named() -> None:
    made = HttpRequest("GET", "https://trao-doi.example/handlings?", dict(HEADERS), b"")
    request = made._replace(target_uri=made.target_uri[:-1], headers=HEADERS | sign_request(made, KEY, NOW))
    assert any("an empty query" in each.got for each in _refused(request).findings)


@pytest.mark.parametrize("words", CASES)
def test_a_mistake_is_named_and_the_base_is_shown(words: str) -> None:
    request = CASES[words]
    hints = _refused(request)
    assert any(words in each.got for each in hints.findings), hints
    assert f'"@target-uri": {TARGET}\n' in hints.base and '"@signature-params": (' in hints.base
    told = "".join(f"{each.here}{each.got}{each.expected}" for each in hints.findings)
    assert "KT-05" not in told and "10.1.2.3" not in told and "Bearer" not in told


def test_the_shown_base_is_what_a_right_signature_covers() -> None:
    hints = _refused(_signed(TARGET + "x"))
    request = _signed(TARGET + "x")
    right = KEY.sign(_refused(request).base.encode())
    verify_request(
        request._replace(headers={**request.headers, "signature": f"sig1=:{base64.b64encode(right).decode()}:"}),
        lambda _: KEYS[0],
        NOW,
    )
    assert hints.findings == ()


@pytest.mark.parametrize("used", [OTHER, RSA])
def test_another_key_of_the_caller_is_named(used: SigningKey) -> None:
    request = _signed()
    made = used.sign(signature_base(request, find_signature(request.headers, "lgsp-request").inner))
    headers = {**request.headers, "signature": f"sig1=:{base64.b64encode(made).decode()}:"}
    (finding,) = _refused(request._replace(headers=headers)).findings
    assert used.key_id in finding.got
    assert used.key_id not in str(_refused(request._replace(headers=headers), KEYS[:1]).findings)


@given(st.binary(min_size=0, max_size=200))
def test_no_octets_are_accepted_and_the_work_is_bounded(value: bytes) -> None:
    request = _signed()
    headers = {**request.headers, "signature": f"sig1=:{base64.b64encode(value).decode()}:"}
    tried: list[bytes] = []

    def counted(key: VerifyKey, data: bytes, octets: bytes) -> None:
        tried.append(octets)
        verify(key, data, octets)

    verify = VerifyKey.verify
    request = request._replace(headers=headers)
    with pytest.raises(Theirs) as refused:
        verify_request(request, lambda _: KEYS[0], NOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VerifyKey, "verify", counted)
        assert http_hints(refused.value, request, [KEYS[0], *(KEYS[1:] * 50)]) is not None
    assert 0 < len(tried) <= MAX_TRIES


@pytest.mark.parametrize(
    ("words", "over"),
    [
        ("without its last line end", lambda body: hashlib.sha256(body.rstrip()).digest()),
        ("CR LF", lambda body: hashlib.sha256(body.replace(b"\n", b"\r\n")).digest()),
        ("empty body", lambda body: hashlib.sha256(b"").digest()),
        ("hexadecimal", lambda body: hashlib.sha256(body).hexdigest().encode()),
    ],
)
def test_a_digest_over_other_bytes_is_named(words: str, over: Callable[[bytes], bytes]) -> None:
    body = b'{"a":\n 1}\n'
    digest = f"sha-256=:{base64.b64encode(over(body)).decode()}:"
    request = HttpRequest("POST", TARGET, HEADERS | {"content-digest": digest}, body)
    request = request._replace(headers=dict(request.headers) | sign_request(request, KEY, NOW))
    hints = _refused(request)
    assert hints.base == "" and words in hints.findings[0].got


def _envelope(change: Callable[[etree._Element], None]) -> tuple[etree._Element, Theirs]:
    body = b'<m:x xmlns:m="urn:m"><m:y>1</m:y></m:x>'
    signed = sign_envelope(body, RSA, NOW, EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1"))
    root = etree.fromstring(signed.replace(b"<soap:Envelope ", b'<soap:Envelope xmlns:unused="urn:u" ', 1))
    change(root)
    with pytest.raises(Theirs) as refused:
        verify_envelope(root, lambda _: RSA.verify_key(), NOW)
    return root, refused.value


def test_a_part_of_an_envelope_that_was_canonicalised_otherwise_is_named() -> None:
    def inclusive(root: etree._Element) -> None:
        (body,) = root.iter("{*}Body")
        reference = next(
            each for each in root.iter(f"{{{DS}}}Reference") if each.get("URI", "")[1:] in set(body.attrib.values())
        )
        made = etree.tostring(body, method="c14n", exclusive=False, with_comments=False, with_tail=False)
        (value,) = reference.iter(f"{{{DS}}}DigestValue")
        value.text = base64.b64encode(hashlib.sha256(made).digest()).decode()

    root, failure = _envelope(inclusive)
    hints = soap_hints(failure, root, KEYS)
    assert hints is not None and failure.code == "signature.digest-mismatch"
    (finding,) = hints.findings
    assert finding.here == "soap:Body" and finding.got == "inclusive C14N 1.0, sha256"


def test_a_signature_value_over_another_form_is_named_and_signed_info_is_shown() -> None:
    def inclusive(root: etree._Element) -> None:
        (info,) = root.iter(f"{{{DS}}}SignedInfo")
        made = etree.tostring(info, method="c14n", exclusive=False, with_comments=False, with_tail=False)
        (value,) = root.iter(f"{{{DS}}}SignatureValue")
        value.text = base64.b64encode(RSA.sign_xml(made)).decode()

    root, failure = _envelope(inclusive)
    hints = soap_hints(failure, root, KEYS)
    assert hints is not None and failure.code == "signature.wrong"
    assert hints.base.startswith("<ds:SignedInfo") and "inclusive C14N 1.0" in hints.findings[0].got


def test_other_failures_get_no_hints() -> None:
    request = _signed()
    with pytest.raises(Theirs) as refused:
        verify_request(request, lambda _: None, NOW)
    assert http_hints(refused.value, request, KEYS) is None
