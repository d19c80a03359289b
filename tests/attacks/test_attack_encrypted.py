"""Encrypted bodies as an attacker would make them: JWE (RFC 7516, RFC 8725) at the REST door, XML Encryption at the
SOAP door.

Each message bears a right HTTP signature, or a right XML signature, of a registered system: the encryption alone is
tried. What fails with a key in hand is told by one code, whatever it was.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from lxml import etree

from examples.story.world import World
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.jose import seal
from gateway.sample_client.rest import Prepared
from gateway.sample_client.transport import RawAnswer
from gateway.sample_client.wscrypt import XENC, XENC11
from gateway.sandbox.standins import messages
from tests.attacks.conftest import Judge
from tests.attacks.forging import b64, b64url, jws
from tests.attacks.raw import Told, ask, of

pytestmark = pytest.mark.server
WHO, BY_SOAP = "mot-cua", "mot-cua-xa"
PATH, CONTRACT = "/dossier-status/v1/statuses", "dossier-status/v1"
ACTION = "urn:caobang:mot-cua:1:DongBoHoSo"
SAMPLE = (
    Path(__file__).parents[2] / "contracts/catalogue/dossier-status/v1/samples/mot-cua-xml/DossierStatus.dat-dai.xml"
)
OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
Make = Callable[[Identity], bytes]


def dossier() -> bytes:
    return SAMPLE.read_bytes().replace(b"H14.21-261105-0042.7", f"H14.22-{uuid.uuid4()}".encode())


def content() -> bytes:
    return json.dumps(messages.dossier_status(), ensure_ascii=False).encode()


def inner(who: Identity) -> bytes:
    header = {"alg": who.signer.jose_algorithm, "kid": who.signer.key_id, "cty": "application/json"}
    return jws(header, content(), who.signer.sign).encode()


def public(who: Identity) -> rsa.RSAPublicKey:
    found = encryption_of(who).gateway.public_key()
    assert isinstance(found, rsa.RSAPublicKey)
    return found


def oaep(who: Identity, cek: bytes) -> bytes:
    return public(who).encrypt(cek, OAEP)


def jwe(
    who: Identity,
    *,
    wrap: Callable[[Identity, bytes], bytes] = oaep,
    text: Callable[[Identity], bytes] = inner,
    iv_size: int = 12,
    raw: bytes | None = None,
    **changed: Any,
) -> bytes:
    """RFC 7516 §7.1, with any header; None leaves a name out."""
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": encryption_of(who).gateway_key_id, "cty": "JWS"} | changed
    head = b64url(
        raw or json.dumps({name: value for name, value in header.items() if value is not None}).encode()
    ).encode()
    cek, iv = os.urandom(32), os.urandom(iv_size)
    sealed = AESGCM(cek).encrypt(iv, text(who), head)
    return b".".join([head, *(b64url(each).encode() for each in (wrap(who, cek), iv, sealed[:-16], sealed[-16:]))])


def headed(**changed: Any) -> Make:
    return lambda who: jwe(who, **changed)


def swapped(number: int, change: Callable[[bytes], bytes]) -> Make:
    def make(who: Identity) -> bytes:
        parts = jwe(who).split(b".")
        parts[number] = change(parts[number])
        return b".".join(parts)

    return make


def flipped(part: bytes) -> bytes:
    return (b"B" if part[:1] == b"A" else b"A") + part[1:]


def signed_inside(header: dict[str, Any], sign: Callable[[bytes], bytes] | None = None) -> Make:
    def text(who: Identity) -> bytes:
        made = {"alg": who.signer.jose_algorithm, "kid": who.signer.key_id, "cty": "application/json"} | header
        return jws(
            {name: value for name, value in made.items() if value is not None}, content(), sign or who.signer.sign
        ).encode()

    return lambda who: jwe(who, text=text)


def rsa15(who: Identity, cek: bytes) -> bytes:
    return public(who).encrypt(cek, padding.PKCS1v15())


def oaep_sha1(who: Identity, cek: bytes) -> bytes:
    return public(who).encrypt(cek, padding.OAEP(padding.MGF1(SHA1()), SHA1(), None))


PROFILE, FAILED = "body.encryption-profile", "body.decryption"
REST: dict[str, tuple[Make, str]] = {
    "in clear": (lambda who: content(), "body.not-encrypted"),
    "zip": (headed(zip="DEF", text=lambda who: zlib.compress(b" " * 100_000_000, 9)[2:-4]), PROFILE),
    "PBES2 of two thousand million rounds": (headed(alg="PBES2-HS512+A256KW", p2c=2_000_000_000, p2s="AAAA"), PROFILE),
    "PBES2 of one round": (headed(alg="PBES2-HS256+A128KW", p2c=1, p2s="AAAA"), PROFILE),
    "RSA-1.5": (headed(alg="RSA1_5", wrap=rsa15), PROFILE),
    "RSA-1.5 under another name": (headed(wrap=rsa15), FAILED),
    "OAEP with SHA-1": (headed(alg="RSA-OAEP", wrap=oaep_sha1), PROFILE),
    "OAEP with SHA-1 under another name": (headed(wrap=oaep_sha1), FAILED),
    "CBC": (headed(enc="A256CBC-HS512"), PROFILE),
    "A128GCM": (headed(enc="A128GCM"), PROFILE),
    "enc none": (headed(enc="none"), PROFILE),
    "dir": (headed(alg="dir", wrap=lambda who, cek: b""), PROFILE),
    "A256KW": (headed(alg="A256KW"), PROFILE),
    "ECDH-ES": (headed(alg="ECDH-ES", epk={"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}), PROFILE),
    "alg none": (headed(alg="none"), PROFILE),
    "no alg": (headed(alg=None), PROFILE),
    "jku": (headed(jku="https://localhost:1/keys"), PROFILE),
    "x5u": (headed(x5u="https://localhost:1/key.pem"), PROFILE),
    "jwk": (headed(jwk={"kty": "oct", "k": "AAAA"}), PROFILE),
    "x5c": (headed(x5c=["MIIB"]), PROFILE),
    "crit": (headed(crit=["x"], x=1), PROFILE),
    "epk beside RSA": (headed(epk={"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}), PROFILE),
    "a header name twice": (
        headed(raw=b'{"alg":"dir","alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWS","kid":"gateway.encrypt-1"}'),
        PROFILE,
    ),
    "a header nested without end": (headed(raw=b"[" * 1_400), PROFILE),
    "a header very long": (headed(typ="a" * 10_000), PROFILE),
    "no kid": (headed(kid=None), FAILED),
    "kid with a path": (headed(kid="../../keys/decrypt.key"), FAILED),
    "kid of another system": (headed(kid="y-te.encrypt-1"), FAILED),
    "kid of the gateway's signing key": (headed(kid="gateway.sign-1"), FAILED),
    "the wrapped key altered": (swapped(1, flipped), FAILED),
    "the wrapped key empty": (swapped(1, lambda part: b""), PROFILE),
    "the iv altered": (swapped(2, flipped), FAILED),
    "an iv of other length": (headed(iv_size=16), FAILED),
    "the ciphertext altered": (swapped(3, flipped), FAILED),
    "the tag altered": (swapped(4, flipped), FAILED),
    "the tag cut": (swapped(4, lambda part: part[:8]), FAILED),
    "four parts": (lambda who: jwe(who).rpartition(b".")[0], PROFILE),
    "JSON serialization": (lambda who: b'{"protected":"AAAA","ciphertext":"AAAA"}', PROFILE),
    "not signed inside": (headed(text=lambda who: content()), PROFILE),
    "cty missing, not signed inside": (headed(cty=None, text=lambda who: content()), PROFILE),
    "signed inside with none": (signed_inside({"alg": "none"}, lambda data: b""), PROFILE),
    "signed inside by HMAC": (signed_inside({"alg": "HS256"}), "signature.algorithm"),
    "signed inside with jku": (signed_inside({"jku": "https://localhost:1"}), PROFILE),
    "signed inside with nothing": (signed_inside({}, lambda data: b""), PROFILE),
    "signed inside by nobody": (signed_inside({"kid": "nobody"}), "signature.unknown-key"),
    "signed inside, altered": (signed_inside({}, lambda data: b"a" * 64), "signature.wrong"),
    "encrypted twice": (headed(text=jwe), PROFILE),
}


def told_in_clear(world: World, prepared: Prepared) -> Told:
    """What the gateway said, which is encrypted too as soon as it knows for whom."""
    told = ask(world.identity(WHO), of(prepared))
    assert told is not None
    answer = world.rest(WHO).judge(prepared, RawAnswer(told.status, told.headers, told.body))
    return Told(told.status, {**told.headers, "content-type": "application/problem+json"}, answer.body)


@pytest.mark.attack("encryption: JWE")
@pytest.mark.parametrize("name", REST)
def test_jwe(world: World, judge: Judge, name: str) -> None:
    make, code = REST[name]
    who = world.identity(WHO)
    media = "application/json" if name == "in clear" else "application/jose"
    judge.refused(told_in_clear(world, world.rest(WHO).prepare("POST", PATH, make(who), content_type=media)), code)


@pytest.mark.attack("encryption: JWE")
def test_signed_inside_by_another_system(world: World, judge: Judge) -> None:
    """What another system signed, encrypted anew and sent as one's own."""
    who, other = world.identity(WHO), world.identity("y-te")
    keys = encryption_of(who)
    body = seal(content(), "application/json", other.signer, keys.gateway_key_id, keys.gateway)
    judge.refused(
        told_in_clear(world, world.rest(WHO).prepare("POST", PATH, body, content_type="application/jose")),
        "channel.mismatch",
        403,
    )


@pytest.mark.attack("encryption: JWE")
def test_encrypted_where_nothing_is(world: World, judge: Judge) -> None:
    who = world.identity("bao-chay")
    raw = json.dumps(messages.fire_alarm()).encode()
    prepared = world.rest("bao-chay").prepare("POST", "/incident-alert/v1/alerts", raw, encrypt_it=True)
    judge.refused(ask(who, of(prepared)), "body.encryption-unexpected")


# --- XML Encryption ---------------------------------------------------------------------------------------------------

X = f"{{{XENC}}}"
Spoil = Callable[[etree._Element], None]


def one(root: etree._Element, name: str) -> etree._Element:
    return next(root.iter(f"{X}{name}"))


def key_method(algorithm: str, *, bare: bool = True) -> Spoil:
    def spoil(root: etree._Element) -> None:
        method = one(one(root, "EncryptedKey"), "EncryptionMethod")
        method.set("Algorithm", algorithm)
        if bare:
            del method[:]

    return spoil


def data_method(algorithm: str) -> Spoil:
    return lambda root: one(one(root, "EncryptedData"), "EncryptionMethod").set("Algorithm", algorithm)


def inside(name: str, change: Callable[[etree._Element], None]) -> Spoil:
    return lambda root: change(one(root, name))


def digest(algorithm: str) -> Spoil:
    def spoil(root: etree._Element) -> None:
        one(one(root, "EncryptedKey"), "EncryptionMethod")[0].set("Algorithm", algorithm)

    return spoil


def value(name: str, text: str) -> Spoil:
    return lambda root: setattr(one(one(root, name), "CipherValue"), "text", text)


def by_reference(name: str, uri: str) -> Spoil:
    def spoil(root: etree._Element) -> None:
        data = one(one(root, name), "CipherData")
        del data[:]
        etree.SubElement(data, f"{X}CipherReference", URI=uri)

    return spoil


def twice(name: str) -> Spoil:
    def spoil(root: etree._Element) -> None:
        from copy import deepcopy

        found = one(root, name)
        again = deepcopy(found)
        again.set("Id", "again")
        found.addnext(again)

    return spoil


SOAP: dict[str, tuple[Spoil, str]] = {
    "RSA-1.5": (key_method(f"{XENC}rsa-1_5"), PROFILE),
    "OAEP of XML Encryption 1.0": (key_method(f"{XENC}rsa-oaep-mgf1p", bare=False), PROFILE),
    "OAEP with SHA-1": (digest("http://www.w3.org/2000/09/xmldsig#sha1"), PROFILE),
    "OAEP with nothing said": (key_method(f"{XENC11}rsa-oaep"), PROFILE),
    "a key wrapped by a password": (key_method(f"{XENC11}pbkdf2"), PROFILE),
    "a key agreed on": (key_method(f"{XENC11}ECDH-ES"), PROFILE),
    "AES-256-CBC": (data_method(f"{XENC}aes256-cbc"), PROFILE),
    "AES-128-CBC": (data_method(f"{XENC}aes128-cbc"), PROFILE),
    "Triple DES": (data_method(f"{XENC}tripledes-cbc"), PROFILE),
    "AES-128-GCM": (data_method(f"{XENC11}aes128-gcm"), PROFILE),
    "a type of its own": (inside("EncryptedData", lambda data: data.set("Type", f"{XENC}Element")), PROFILE),
    "CipherReference to a file": (by_reference("EncryptedData", "file:///etc/hostname"), PROFILE),
    "CipherReference to an address": (by_reference("EncryptedData", "http://127.0.0.1:1/x"), PROFILE),
    "the key by CipherReference": (by_reference("EncryptedKey", "#body"), PROFILE),
    "two keys": (twice("EncryptedKey"), PROFILE),
    "two bodies": (twice("EncryptedData"), PROFILE),
    "the wrapped key altered": (value("EncryptedKey", b64(os.urandom(384))), FAILED),
    "the wrapped key empty": (value("EncryptedKey", ""), PROFILE),
    "the content altered": (value("EncryptedData", b64(os.urandom(200))), FAILED),
    "the content empty": (value("EncryptedData", ""), PROFILE),
    "the content no base64": (value("EncryptedData", "§"), PROFILE),
}


@pytest.mark.attack("encryption: XML")
@pytest.mark.parametrize("name", SOAP)
def test_xml_encryption(world: World, judge: Judge, name: str) -> None:
    spoil, code = SOAP[name]
    prepared = world.soap(BY_SOAP).prepare(CONTRACT, "submitStatus", dossier(), action=ACTION, encrypt_it=True).request
    root = etree.fromstring(prepared.body)
    spoil(root)
    changed = Prepared("POST", prepared.path, prepared.target, prepared.headers, etree.tostring(root))
    judge.refused(ask(world.identity(BY_SOAP), of(changed)), code)


@pytest.mark.attack("encryption: XML")
def test_an_envelope_in_clear(world: World, judge: Judge) -> None:
    prepared = world.soap(BY_SOAP).prepare(CONTRACT, "submitStatus", dossier(), action=ACTION).request
    judge.refused(ask(world.identity(BY_SOAP), of(prepared)), "body.not-encrypted")
    alert = (
        world.soap("canh-bao")
        .prepare("incident-alert/v1", "submitAlert", messages.cap_alert(), encrypt_it=True)
        .request
    )
    judge.refused(ask(world.identity("canh-bao"), of(alert)), "body.encryption-unexpected")
