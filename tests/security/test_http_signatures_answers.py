"""HTTP signatures of answers: bound to their question, and each thing wrong gets its own refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from security.http_signatures import (
    HttpRequest,
    sign_response,
    verify_request,
    verify_response,
)
from tests.security.identities import Pair
from tests.security.test_http_signatures import code, finder, post, signed


def answer(pair: Pair, now: float, request: HttpRequest, **more: Any) -> dict[str, str]:
    headers = {"content-type": "application/json", "lgsp-transfer": "t-1", "lgsp-receipt": "intent=:AA==:", **more}
    return {**headers, **sign_response(200, headers, b"{}", request.headers, pair.sign, now)}


def test_answers_are_bound_to_their_question(p256: Pair, other: Pair, now: float) -> None:
    request = signed(other, now)
    headers = answer(p256, now, request)
    verified = verify_response(200, headers, b"{}", request.headers, p256.verify, now)
    assert b'"signature";req;key="sig1": :' in verified.base
    assert verify_response(200, headers, b"{}", request.headers, finder(p256), now).key == p256.verify
    another = signed(other, now)
    assert code(verify_response, 200, headers, b"{}", another.headers, p256.verify, now).code == "signature.wrong"
    assert code(verify_response, 200, headers, b"{}", {}, p256.verify, now).code == "signature.component-absent"
    unbound = answer(p256, now, post())
    failure = code(verify_response, 200, unbound, b"{}", request.headers, p256.verify, now)
    assert (failure.code, failure.facts["missing"]) == ("signature.not-covering", '"signature";req')


def test_the_label_of_the_question_is_kept(p256: Pair, other: Pair, now: float) -> None:
    request = signed(other, now, label="lgsp")
    headers = answer(p256, now, request)
    assert '"signature";req;key="lgsp"' in headers["signature-input"]
    assert verify_response(200, headers, b"{}", request.headers, p256.verify, now).created == int(now)
    same = sign_response(200, {}, b"{}", verify_request(request, finder(other), now), p256.sign, now)
    assert '"signature";req;key="lgsp"' in same["signature-input"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda h: h | {"lgsp-transfer": "t-2"}, "signature.wrong"),
        (lambda h: h | {"lgsp-checkpoint": ":AA==:"}, "signature.not-covering"),
        (lambda h: {k: v for k, v in h.items() if k != "lgsp-receipt"}, "signature.component-absent"),
        (lambda h: {k: v for k, v in h.items() if k != "signature"}, "signature.missing"),
        (lambda h: h | {"signature-input": h["signature-input"].replace(";req;", ";")}, "signature.component-unknown"),
        (
            lambda h: h | {"signature-input": h["signature-input"].replace("lgsp-answer", "lgsp-request")},
            "signature.missing",
        ),
        (
            lambda h: h | {"signature-input": h["signature-input"].replace("canh-bao.sign-1", "x")},
            "signature.unknown-key",
        ),
    ],
)
def test_answers_changed_on_the_way(
    change: Callable[[dict[str, str]], dict[str, str]], expected: str, p256: Pair, other: Pair, now: float
) -> None:
    request = signed(other, now)
    headers = change(answer(p256, now, request))
    assert code(verify_response, 200, headers, b"{}", request.headers, p256.verify, now).code == expected


def test_status_body_and_age_of_an_answer(p256: Pair, other: Pair, now: float) -> None:
    request = signed(other, now)
    headers = answer(p256, now, request)
    assert code(verify_response, 201, headers, b"{}", request.headers, p256.verify, now).code == "signature.wrong"
    assert (
        code(verify_response, 200, headers, b"{ }", request.headers, p256.verify, now).code
        == "signature.digest-mismatch"
    )
    assert (
        code(verify_response, 200, headers, b"{}", request.headers, p256.verify, now + 61).code == "signature.expired"
    )
    assert (
        code(verify_response, 200, headers, b"{}", request.headers, p256.verify, now - 6).code
        == "signature.from-future"
    )
