"""HTTP signatures: what is accepted, and that each thing wrong gets its own refusal."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from security.http_signatures import (
    HttpRequest,
    check_content_digest,
    content_digest,
    sign_request,
    verify_request,
)
from security.keys import VerifyKey
from tests.security.identities import Pair

URI = "https://gw.example.vn/incident-alert/v1/alerts"
BODY = b'{"identifier":"a"}'


def finder(*pairs: Pair) -> Callable[[str], VerifyKey | None]:
    keys = {p.verify.key_id: p.verify for p in pairs}
    return keys.get


def post(**more: Any) -> HttpRequest:
    headers = {"authorization": "Bearer abc", "content-type": "application/json", "idempotency-key": '"m-1"', **more}
    return HttpRequest("POST", URI, headers, BODY)


def signed(pair: Pair, now: float, request: HttpRequest | None = None, **kw: Any) -> HttpRequest:
    request = request or post()
    return request._replace(headers={**request.headers, **sign_request(request, pair.sign, now, **kw)})


def with_headers(request: HttpRequest, **changes: Any) -> HttpRequest:
    headers = {**request.headers, **{k.replace("_", "-"): v for k, v in changes.items()}}
    return request._replace(headers={k: v for k, v in headers.items() if v is not None})


def hand_signed(
    pair: Pair,
    components: list[str],
    params: str,
    request: HttpRequest,
    label: str = "sig1",
    lines: list[str] | None = None,
) -> HttpRequest:
    """A signature made by hand, so that any component list and parameters can be tried."""
    values = {"@method": request.method, "@target-uri": request.target_uri, **request.headers}
    covered = " ".join(f'"{c}"' for c in components)
    value = f"({covered}){params}"
    made = lines or [f'"{c}": {values.get(c, "")}' for c in components]
    base = "\n".join([*made, f'"@signature-params": {value}']).encode()
    sig = base64.b64encode(pair.sign.sign(base)).decode()
    return with_headers(request, signature_input=f"{label}={value}", signature=f"{label}=:{sig}:")


ALL = ["@method", "@target-uri", "authorization", "content-type", "content-digest", "idempotency-key"]
NONCE = 'nonce="MTIzNDU2Nzg5MGFiY2RlZg"'


def params(now: float, keyid: str = "canh-bao.sign-1", *, life: int = 60, **more: Any) -> str:
    text = f';created={int(now)};expires={int(now) + life};{NONCE};keyid="{keyid}";tag="lgsp-request"'
    return text + "".join(f";{k}={v}" for k, v in more.items())


def digested() -> HttpRequest:
    return with_headers(post(), content_digest=content_digest(BODY))


def code(call: Callable[..., object], *args: Any, **kw: Any) -> Theirs:
    with pytest.raises(Theirs) as caught:
        call(*args, **kw)
    return caught.value


@pytest.mark.parametrize("name", ["p256", "ed25519_pair", "rsa_pair", "pss_pair"])
def test_what_we_sign_we_verify(name: str, request: pytest.FixtureRequest, now: float) -> None:
    pair = request.getfixturevalue(name)
    message = signed(pair, now)
    verified = verify_request(message, finder(pair), now)
    assert verified.key == pair.verify
    assert verified.label == "sig1"
    assert (verified.created, verified.expires) == (int(now), int(now) + 60)
    assert verified.payload_digest == hashlib.sha256(BODY).digest()
    assert verified.replay_key == hashlib.sha256(pair.verify.key_id.encode() + b"\n" + verified.base).digest()
    assert verified.base.startswith(b'"@method": POST\n"@target-uri": ' + URI.encode())
    assert verified.base.endswith(b'"@signature-params": ' + verified.signature_input.removeprefix("sig1=").encode())


def test_get_without_a_body(p256: Pair, now: float) -> None:
    message = signed(p256, now, HttpRequest("GET", URI + "?a=1&b=%20", {"authorization": "Bearer x"}, b""))
    assert b"content-digest" not in verify_request(message, finder(p256), now).base


def test_the_gateway_as_client_needs_no_token(p256: Pair, now: float) -> None:
    request = HttpRequest(
        "POST", URI, {"content-type": "application/json", "lgsp-transfer": "t", "lgsp-caller": "H14.2/canh-bao"}, BODY
    )
    verified = verify_request(signed(p256, now, request), finder(p256), now, need=("lgsp-transfer", "lgsp-caller"))
    assert b'"lgsp-caller": H14.2/canh-bao' in verified.base


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m._replace(method="PUT"), "signature.wrong"),
        (lambda m: m._replace(target_uri=m.target_uri + "?x"), "signature.wrong"),
        (lambda m: m._replace(body=m.body + b" "), "signature.digest-mismatch"),
        (lambda m: m._replace(body=b""), "signature.digest-mismatch"),
        (lambda m: with_headers(m, authorization="Bearer abd"), "signature.wrong"),
        (lambda m: with_headers(m, content_type="text/plain"), "signature.wrong"),
        (lambda m: with_headers(m, idempotency_key='"m-2"'), "signature.wrong"),
        (lambda m: with_headers(m, content_digest=content_digest(b"other")), "signature.digest-mismatch"),
        (lambda m: with_headers(m, content_digest=content_digest(b"other"))._replace(body=b"other"), "signature.wrong"),
        (lambda m: with_headers(m, lgsp_caller="H14.0/dieu-hanh"), "signature.not-covering"),
        (lambda m: with_headers(m, authorization=None), "signature.component-absent"),
        (lambda m: with_headers(m, content_type=None), "signature.component-absent"),
        (lambda m: with_headers(m, content_digest=None), "signature.component-absent"),
        (lambda m: with_headers(m, signature=None), "signature.missing"),
        (lambda m: with_headers(m, signature_input=None), "signature.missing"),
        (lambda m: with_headers(m, signature=m.headers["signature"].replace("sig1", "sig2")), "signature.missing"),
        (lambda m: with_headers(m, signature="sig1=:AAAA:"), "signature.wrong"),
        (lambda m: with_headers(m, signature="sig1=:" + base64.b64encode(bytes(64)).decode() + ":"), "signature.wrong"),
        (lambda m: with_headers(m, signature="sig1=:not base64:"), "signature.malformed"),
        (lambda m: with_headers(m, signature='sig1="text"'), "signature.malformed"),
        (lambda m: with_headers(m, signature_input="sig1"), "signature.malformed"),
        (lambda m: with_headers(m, signature_input="sig1=("), "signature.malformed"),
        (lambda m: with_headers(m, signature_input=""), "signature.malformed"),
        (
            lambda m: with_headers(
                m, signature_input=m.headers["signature-input"] + ", " + m.headers["signature-input"]
            ),
            "signature.malformed",
        ),
        (
            lambda m: with_headers(m, signature_input=m.headers["signature-input"].replace("lgsp-request", "x")),
            "signature.missing",
        ),
        (lambda m: with_headers(m, idempotency_key='"m-1"\nx'), "signature.malformed"),
        (lambda m: with_headers(m, idempotency_key='"m-é"'), "signature.malformed"),
        (lambda m: with_headers(m, content_digest="sha-256"), "signature.malformed"),
        (lambda m: with_headers(m, content_digest="md5=:AAAA:"), "signature.algorithm"),
    ],
)
def test_changed_after_signing(
    change: Callable[[HttpRequest], HttpRequest], expected: str, p256: Pair, now: float
) -> None:
    assert code(verify_request, change(signed(p256, now)), finder(p256), now).code == expected


@pytest.mark.parametrize("left_out", ALL)
def test_each_component_must_be_covered(left_out: str, p256: Pair, now: float) -> None:
    request = hand_signed(p256, [c for c in ALL if c != left_out], params(now), digested())
    failure = code(verify_request, request, finder(p256), now)
    assert failure.code == "signature.not-covering"
    assert failure.facts["missing"] == left_out
    assert left_out in failure.what("vi")


def test_an_empty_list_covers_nothing(p256: Pair, now: float) -> None:
    failure = code(verify_request, hand_signed(p256, [], params(now), digested(), lines=[""]), finder(p256), now)
    assert failure.facts["missing"] == ", ".join(ALL)


def test_a_token_is_needed_where_the_door_says_so(p256: Pair, now: float) -> None:
    request = hand_signed(p256, ["@method", "@target-uri"], params(now), HttpRequest("GET", URI, {}, b""))
    assert code(verify_request, request, finder(p256), now).facts["missing"] == "authorization"
    assert verify_request(request, finder(p256), now, need=()).key == p256.verify


def test_a_body_without_digest_is_not_covered(p256: Pair, now: float) -> None:
    request = post()
    components = [c for c in ALL if c != "content-digest"]
    assert (
        code(verify_request, hand_signed(p256, components, params(now), request), finder(p256), now).facts["missing"]
        == "content-digest"
    )


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("date", "signature.component-unknown"),
        ("@status", "signature.component-unknown"),
        ("@authority", "signature.component-unknown"),
        ("signature", "signature.component-unknown"),
        ('content-type";sf;x="', "signature.component-unknown"),
        ("Content-Type", "signature.component-unknown"),
        ("content-type", "signature.malformed"),
        ("lgsp-caller", "signature.component-absent"),
    ],
)
def test_components_beyond_the_list(component: str, expected: str, p256: Pair, now: float) -> None:
    request = hand_signed(p256, [*ALL, component], params(now), digested())
    assert code(verify_request, request, finder(p256), now).code == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (NONCE, 'nonce="short"', "signature.nonce"),
        (NONCE, 'nonce="has spaces has spaces has"', "signature.nonce"),
        (";" + NONCE, "", "signature.nonce"),
        (NONCE, "nonce=12", "signature.parameter"),
        (';keyid="canh-bao.sign-1"', "", "signature.parameter"),
        ('"canh-bao.sign-1"', "token", "signature.parameter"),
        ('"canh-bao.sign-1"', '"nobody.sign-1"', "signature.unknown-key"),
        (';tag="lgsp-request"', "", "signature.missing"),
        (';tag="lgsp-request"', ';tag="lgsp-request";alg="ecdsa-p256-sha256"', None),
        (';tag="lgsp-request"', ';tag="lgsp-request";alg="ed25519"', "signature.algorithm"),
        (';tag="lgsp-request"', ';tag="lgsp-request";alg="hmac-sha256"', "signature.algorithm"),
        (';tag="lgsp-request"', ';tag="lgsp-request";extra=1', "signature.parameter"),
        (';tag="lgsp-request"', ';tag="lgsp-request";tag="lgsp-request"', "signature.malformed"),
        ("created=1795503600", "created=1795503600.0", "signature.parameter"),
        ("created=1795503600;", "", "signature.parameter"),
        ("created=1795503600", "created", "signature.parameter"),
        ("created=1795503600", "created=-1", "signature.parameter"),
        ("expires=1795503660", "expires=1795503661", "signature.lifetime"),
        ("expires=1795503660", "expires=1795503600", "signature.lifetime"),
        ("expires=1795503660", "expires=1795503599", "signature.lifetime"),
        (";expires=1795503660", "", "signature.parameter"),
    ],
)
def test_parameters(old: str, new: str, expected: str | None, p256: Pair, now: float) -> None:
    text = params(now)
    assert old in text
    request = hand_signed(p256, ALL, text.replace(old, new), digested())
    if expected is None:
        assert verify_request(request, finder(p256), now).key == p256.verify
    else:
        assert code(verify_request, request, finder(p256), now).code == expected


def test_spaces_that_the_standard_lets_pass_do_not_break_a_signature(p256: Pair, now: float) -> None:
    """The signature base holds the canonical form, whatever spaces came on the wire (RFC 9421 §2.5)."""
    message = signed(p256, now)
    loose = (
        message.headers["signature-input"]
        .replace(";", "; ")
        .replace('" "', '"   "')
        .replace("(", "( ")
        .replace(")", " )")
    )
    assert verify_request(with_headers(message, signature_input=f"  {loose} "), finder(p256), now).key == p256.verify


def test_freshness_measures_the_skew(p256: Pair, now: float) -> None:
    message = signed(p256, now)
    assert verify_request(message, finder(p256), now - 5).created == int(now)
    early = code(verify_request, message, finder(p256), now - 7.5)
    assert (early.code, early.facts["skew"]) == ("signature.from-future", 7.5)
    assert verify_request(message, finder(p256), now + 60).created == int(now)
    late = code(verify_request, message, finder(p256), now + 72.5)
    assert (late.code, late.facts["late"], late.facts["skew"]) == ("signature.expired", 12.5, 72.5)
    assert "12.5" in late.what("vi") and "72.5" in late.what("en")


def test_a_certificate_out_of_its_time(p256: Pair, now: float) -> None:
    key = replace(p256.verify, valid_until=now - 1)
    assert code(verify_request, signed(p256, now), lambda _: key, now).code == "signature.key-expired"


def test_the_key_of_another_system(p256: Pair, other: Pair, now: float) -> None:
    assert code(verify_request, signed(p256, now), lambda _: other.verify, now).code == "signature.wrong"


def test_proxies_may_add_signatures_of_their_own_but_ours_is_one(p256: Pair, now: float) -> None:
    message = signed(p256, now)
    theirs = 'proxy=("@method" "date";sf);created=1;tag="proxy"'
    added = with_headers(
        message,
        signature_input=f"{theirs}, {message.headers['signature-input']}",
        signature=f"proxy=:AAAA:, {message.headers['signature']}",
    )
    assert verify_request(added, finder(p256), now).key == p256.verify
    second = sign_request(post(), p256.sign, now, label="sig2")
    twice = with_headers(
        message,
        signature_input=f"{message.headers['signature-input']}, {second['signature-input']}",
        signature=f"{message.headers['signature']}, {second['signature']}",
    )
    assert code(verify_request, twice, finder(p256), now).code == "signature.several"


def test_a_malleated_ecdsa_value_has_the_same_replay_key(p256: Pair, now: float) -> None:
    """(r, n - s) is valid too; it must not count as another message."""
    message = signed(p256, now)
    raw = base64.b64decode(message.headers["signature"].removeprefix("sig1=:").removesuffix(":"))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    flipped = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    again = with_headers(message, signature=f"sig1=:{base64.b64encode(flipped).decode()}:")
    first, second = (verify_request(m, finder(p256), now) for m in (message, again))
    assert first.signature != second.signature
    assert first.replay_key == second.replay_key


def test_two_signings_have_two_replay_keys(p256: Pair, now: float) -> None:
    one, two = (verify_request(signed(p256, now), finder(p256), now) for _ in range(2))
    assert one.nonce != two.nonce and one.replay_key != two.replay_key


def test_sha512_digests_are_accepted_and_all_known_must_agree() -> None:
    strong = base64.b64encode(hashlib.sha512(BODY).digest()).decode()
    check_content_digest(f"sha-512=:{strong}:", BODY)
    check_content_digest(f"unixsum=:AAAA:, sha-512=:{strong}:, {content_digest(BODY)}", BODY)
    assert (
        code(check_content_digest, f"sha-512=:{strong}:, {content_digest(b'x')}", BODY).code
        == "signature.digest-mismatch"
    )
    assert code(check_content_digest, f"sha-256=:{strong}:", BODY).code == "signature.digest-mismatch"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_input=st.text(max_size=200), given_signature=st.text(max_size=100))
def test_rubbish_is_refused_and_never_breaks(given_input: str, given_signature: str, p256: Pair) -> None:
    headers = {"authorization": "Bearer x", "signature-input": given_input, "signature": given_signature}
    assert code(verify_request, HttpRequest("GET", URI, headers, b""), lambda _: p256.verify, 1.0).code.startswith(
        "signature."
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_character_never_passes(data: st.DataObject, p256: Pair, now: float) -> None:
    message = signed(p256, now)
    name = data.draw(
        st.sampled_from(["signature-input", "signature", "content-digest", "authorization", "idempotency-key"])
    )
    value = message.headers[name]
    at = data.draw(st.integers(0, len(value) - 1))
    new = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != value[at]))
    changed = with_headers(message, **{name: value[:at] + new + value[at + 1 :]})
    try:
        verified = verify_request(changed, finder(p256), now)
    except Theirs as failure:
        assert failure.code.startswith("signature.")
    else:  # only a change that the canonical form does not show may pass: a space for a space elsewhere, or a label
        assert verified.base == verify_request(message, finder(p256), now).base
