"""The vectors of RFC 9421 B.2, typed from the RFC: our signature base is theirs to the byte, and our algorithms accept
their signatures.

The profile asks for more components than any of the vectors covers, so they are tried on what the verifier is made of.
B.2.5 signs with a shared secret, which the profile does not have: its base only.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contracts.base.errors import Theirs
from security.algorithms import ALGORITHMS, ECDSA_P256, ED25519, RSA_PSS
from security.http_signatures import HttpRequest, _base, _line, check_content_digest, verify_request
from security.keys import VerifyKey
from security.structured_fields import parse_dictionary

REQUEST = {
    "host": "example.com",
    "date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "content-type": "application/json",
    "content-digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",  # noqa: E501
    "content-length": "18",
}
RESPONSE = {
    "date": "Tue, 20 Apr 2021 02:07:56 GMT",
    "content-type": "application/json",
    "content-digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",  # noqa: E501
    "content-length": "23",
}
HELLO, DOG = b'{"hello": "world"}', b'{"message": "good dog"}'
# B.1: the public keys, as SubjectPublicKeyInfo.
KEYS = {
    RSA_PSS: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+"  # noqa: E501
    "oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W"
    "Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI2wIDAQAB",
    ECDSA_P256: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==",  # noqa: E501
    ED25519: "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=",
}


class Vector(NamedTuple):
    """Input and value of a signature, and what its base must be, but for the last line, which is the input again."""

    algorithm: str | None
    input: str
    signature: str
    base: tuple[str, ...]


_DIGEST = f'"content-digest": {REQUEST["content-digest"]}'
VECTORS = {
    "B.2.1": Vector(
        RSA_PSS,
        '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
        "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrW"
        "H5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WS"
        "b/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
        (),
    ),
    "B.2.2": Vector(
        RSA_PSS,
        '("@authority" "content-digest" '
        '"@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
        "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0"
        "nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ9"
        "9PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
        ('"@authority": example.com', _DIGEST, '"@query-param";name="Pet": dog'),
    ),
    "B.2.3": Vector(
        RSA_PSS,
        '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" '
        '"content-length");created=1618884473;keyid="test-key-rsa-pss"',
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DF"
        "ll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8"
        "Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
        (
            '"date": Tue, 20 Apr 2021 02:07:55 GMT',
            '"@method": POST',
            '"@path": /foo',
            '"@query": ?param=Value&Pet=dog',
            '"@authority": example.com',
            '"content-type": application/json',
            _DIGEST,
            '"content-length": 18',
        ),
    ),
    "B.2.4": Vector(
        ECDSA_P256,
        '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
        (
            '"@status": 200',
            '"content-type": application/json',
            f'"content-digest": {RESPONSE["content-digest"]}',
            '"content-length": 23',
        ),
    ),
    "B.2.5": Vector(
        None,
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
        ('"date": Tue, 20 Apr 2021 02:07:55 GMT', '"@authority": example.com', '"content-type": application/json'),
    ),
    "B.2.6": Vector(
        ED25519,
        '("date" "@method" "@path" "@authority" "content-type" '
        '"content-length");created=1618884473;keyid="test-key-ed25519"',
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        (
            '"date": Tue, 20 Apr 2021 02:07:55 GMT',
            '"@method": POST',
            '"@path": /foo',
            '"@authority": example.com',
            '"content-type": application/json',
            '"content-length": 18',
        ),
    ),
}
DERIVED = {
    "@method": "POST",
    "@authority": "example.com",
    "@path": "/foo",
    "@query": "?param=Value&Pet=dog",
    "@query-param": "dog",
    "@status": "200",
}


def key(algorithm: str) -> VerifyKey:
    public: Any = load_der_public_key(base64.b64decode(KEYS[algorithm]))
    return VerifyKey("test-key", "rfc", algorithm, b"", "", 0.0, 1e12, public)


def base_of(name: str) -> bytes:
    """The base as our verifier makes it: from the fields as sent, each component by its own text."""
    member: Any = parse_dictionary(f"sig={VECTORS[name].input}")["sig"]
    headers = RESPONSE if name == "B.2.4" else REQUEST
    lines = [_line(item.text, DERIVED.get(str(item.value)) or headers[str(item.value)]) for item in member.items]
    return _base(lines, member.text)


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_base(name: str) -> None:
    vector = VECTORS[name]
    assert base_of(name).decode() == "\n".join([*vector.base, f'"@signature-params": {vector.input}'])


@pytest.mark.parametrize("name", [name for name, vector in VECTORS.items() if vector.algorithm])
def test_the_signature(name: str) -> None:
    vector = VECTORS[name]
    assert vector.algorithm is not None
    base, value = base_of(name), base64.b64decode(vector.signature)
    key(vector.algorithm).verify(base, value)
    for changed, signature in (
        (base.replace(b"1618884473", b"1618884474"), value),
        (base, value[:-1] + bytes([value[-1] ^ 1])),
    ):
        with pytest.raises(Theirs, match=r"signature\.wrong"):
            key(vector.algorithm).verify(changed, signature)


def test_there_are_no_shared_secrets() -> None:
    assert not any("hmac" in algorithm for algorithm in ALGORITHMS)


def test_the_content_digests() -> None:
    check_content_digest(REQUEST["content-digest"], HELLO)
    check_content_digest(RESPONSE["content-digest"], DOG)
    for value, body in ((REQUEST["content-digest"], DOG), (RESPONSE["content-digest"], HELLO), ("md5=:AAAA:", HELLO)):
        with pytest.raises(Theirs):
            check_content_digest(value, body)


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "B.2.4"])
def test_none_of_them_is_a_request_of_the_profile(name: str) -> None:
    """All of them cover less than a request must; one with our tag and their list of components is refused before a key
    is looked for."""
    headers = {
        **REQUEST,
        "signature-input": f'sig={VECTORS[name].input};tag="lgsp-request"',
        "signature": f"sig=:{VECTORS[name].signature}:",
    }
    request = HttpRequest("POST", "https://example.com/foo?param=Value&Pet=dog", headers, HELLO)
    with pytest.raises(Theirs, match=r"signature\."):
        verify_request(request, lambda _: pytest.fail("no key was to be looked for"), 1618884475.0)
