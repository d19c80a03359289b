"""The example client before a hostile gateway: mutated, wrongly built and absurd answers end in its own error with
words, and in no other."""

from __future__ import annotations

import base64
import json
import random
import time
from functools import partial
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from gateway.sample_client import audit, fields, httpsig, jose, rest, wscrypt, wssec
from gateway.sample_client.errors import ClientError
from gateway.sample_client.fields import BadField
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Answer, Prepared, RestClient
from gateway.sample_client.signing import Verifier
from gateway.sample_client.soap import PreparedSoap, SoapClient
from gateway.sample_client.transport import RawAnswer
from tests.attacks import parties
from tests.attacks.absurd import JSONS, SOAPS, TEXTS, only_its_own
from tests.attacks.mutating import by_bytes, mutate
from tests.sample_client.conftest import Authority, Province, make_key
from tests.size import mutations

province, me, gateway = parties.province, parties.me, parties.gateway  # fixtures
SEED: Final = 20261127
MANY: Final = mutations(500)
LEAF: Final = audit.leaf_hash(b"entry")


# --- SOAP -------------------------------------------------------------------------------------------------------------


def envelope(gateway: Identity, authority: Authority, version: str, message_id: str) -> bytes:
    receipt = etree.Element(f"{{{wssec.LGSP}}}Receipt")
    receipt.set(wssec.ID, "receipt")
    leaf, note = (base64.b64encode(each).decode() for each in (LEAF, authority.note(1, LEAF).encode()))
    for name, text in (("Transfer", "t-1"), ("Intent", leaf), ("Outcome", leaf), ("Checkpoint", note)):
        etree.SubElement(receipt, f"{{{wssec.LGSP}}}{name}").text = text
    headers = [
        ("Action", "action", "urn:answer"),
        ("MessageID", "message-id", "urn:uuid:a"),
        ("RelatesTo", "relates-to", message_id),
    ]
    root = wssec.new_envelope(
        wssec.parse(b'<a:x xmlns:a="urn:a"><a:y>Tr\xc3\xa0 L\xc4\xa9nh &amp; 1</a:y></a:x>'), version
    )
    return wssec.serialise(wssec.sign(root, gateway.signer, headers=headers, now=time.time(), blocks=[receipt]))


def fault(version: str) -> bytes:
    problem = (
        f'<l:Problem xmlns:l="{wssec.LGSP}"><l:Code>a.b</l:Code><l:Title '
        'xml:lang="vi">Sai</l:Title><l:Transfer>t</l:Transfer><l:Finding here="a"/></l:Problem>'
    )
    made = (
        "<soap:Fault "
        f'xmlns:soap="{version}"><faultcode>soap:Client</faultcode><faultstring>x</faultstring><detail>{problem}</detail></soap:Fault>'
    )
    return wssec.serialise(wssec.new_envelope(wssec.parse(made.encode()), version))


@pytest.mark.attack("a hostile gateway")
@pytest.mark.parametrize("version", [wssec.SOAP, wssec.SOAP12], ids=["1.1", "1.2"])
def test_mutated_envelopes_end_in_the_clients_own_error(
    me: Identity, gateway: Identity, province: Province, version: str
) -> None:
    client = SoapClient(me, soap=version)
    prepared = PreparedSoap(Prepared("POST", "/soap/x", "https://localhost/soap/x", {}, b""), "urn:uuid:1")
    sound = envelope(gateway, province.authority, version, "urn:uuid:1").decode()
    headers = {"content-type": "text/xml"}
    assert client.judge(prepared, RawAnswer(200, headers, sound.encode())).verified
    refused = 0
    for number in range(MANY):
        chance = random.Random(SEED + number)
        text = chance.choice((sound, sound, sound, fault(version).decode()))
        raw = mutate(text, chance) if chance.random() < 0.7 else signed_anew(text, chance, gateway)
        refused += only_its_own(
            partial(lambda raw: client.judge(prepared, RawAnswer(200, headers, raw)), raw),
            f"seed {SEED + number}: {raw[:4000]!r}",
        )
    assert refused > MANY / 3
    for raw in SOAPS:
        only_its_own(partial(lambda raw: client.judge(prepared, RawAnswer(500, headers, raw)), raw), repr(raw[:500]))
        only_its_own(
            partial(lambda raw: client.judge(prepared, RawAnswer(200, {"content-type": "xml"}, raw)), raw),
            repr(raw[:500]),
        )


def signed_anew(text: str, chance: random.Random, gateway: Identity) -> bytes:
    """An envelope whose parts were mutated before they were signed: a gateway that has the key, and is broken or
    hostile."""
    root = wssec.parse(text.encode())
    header = root[0]
    security = header.find(f"{{{wssec.WSSE}}}Security")
    if security is None:
        return by_bytes(text.encode(), chance)
    header.remove(security)
    made = mutate(wssec.serialise(root).decode(), chance)
    try:
        again = wssec.parse(made)
        return wssec.serialise(wssec.sign(again, gateway.signer, headers=(), now=time.time()))
    except (ClientError, etree.LxmlError, ValueError, TypeError):
        return made


# --- encrypted bodies -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def receiver(province: Province) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = make_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    return key, x509.load_pem_x509_certificates(province.authority.leaf("encrypt", key))[0]


@pytest.mark.attack("a hostile gateway")
def test_mutated_encrypted_envelopes_end_in_the_clients_own_error(
    gateway: Identity,
    province: Province,
    receiver: tuple[rsa.RSAPrivateKey, x509.Certificate],
) -> None:
    key, certificate = receiver
    root = wscrypt.encrypt(wssec.parse(envelope(gateway, province.authority, wssec.SOAP, "urn:uuid:1")), certificate)
    text = wssec.serialise(root).decode()
    assert wscrypt.decrypt(wssec.parse(text.encode()), key, certificate) is not None

    def read(raw: bytes) -> None:
        wscrypt.decrypt(wssec.parse(raw), key, certificate)

    refused = 0
    for number in range(MANY):
        raw = mutate(text, random.Random(SEED + number))
        refused += only_its_own(partial(read, raw), f"seed {SEED + number}: {raw[:4000]!r}")
    assert refused > MANY / 3
    for raw in (
        *SOAPS,
        text.replace("<xenc:CipherValue>", "<xenc:CipherValue>ấ", 1).encode(),
        text.replace("<ds:DigestMethod", "<!-- x --><ds:DigestMethod", 1).encode(),
    ):
        only_its_own(partial(read, raw), repr(raw[:500]))


def parts_of_jose(sealed: bytes, chance: random.Random) -> bytes:
    parts = sealed.split(b".")
    kind = chance.randrange(6)
    if kind == 0:
        head = json.loads(jose._decode(parts[0]))
        name = chance.choice((*head, "zip", "crit"))
        head[name] = chance.choice(
            (
                None,
                1,
                [],
                {},
                "",
                "ES256",
                "dir",
                "\ud800",
                {"kty": "EC", "crv": "P-256", "x": 1, "y": None},
                {"kty": "EC"},
                "x" * 9_999,
                True,
                [[[]]],
            )
        )
        parts[0] = jose._encode(json.dumps(head).encode())
    elif kind == 1:
        parts[0] = jose._encode(chance.choice(JSONS))
    elif kind == 2:
        at = chance.randrange(len(parts))
        parts[at] = chance.choice((b"", b"*", b"\xff", b"A", b"AAAA", b"A" * 9_999))
    elif kind == 3:
        chance.shuffle(parts)
    elif kind == 4:
        parts = parts[: chance.randrange(6)] or [b""]
    else:
        return by_bytes(sealed, chance)
    return b".".join(parts)


@pytest.mark.attack("a hostile gateway")
@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_mutated_jose_bodies_end_in_the_clients_own_error(gateway: Identity, province: Province, kind: str) -> None:
    key = make_key(kind)
    certificate = x509.load_pem_x509_certificates(province.authority.leaf("encrypt", key))[0]
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    mine = Verifier(gateway.signer.key_id, gateway.signer.certificate)

    def read(body: bytes) -> None:
        jose.unseal(body, "me", key, lambda id: [mine] if id == mine.key_id else [], time.time())

    sealed = jose.seal(b'{"a":1}', "application/json", gateway.signer, "me", certificate)
    read(sealed)
    refused = 0
    for number in range(MANY // 2):
        chance = random.Random(SEED + number)
        body = parts_of_jose(sealed, chance)
        refused += only_its_own(partial(read, body), f"seed {SEED + number}: {body[:2000]!r}")
        inner = Inner(gateway.signer, chance)
        body = jose.seal(b"x", chance.choice(("application/json", "é")), inner, "me", certificate)  # type: ignore[arg-type]
        refused += only_its_own(partial(read, body), f"seed {SEED + number}, inside")
    assert refused > MANY / 3


class Inner:
    """A signer that writes nonsense into what is signed and then encrypted."""

    def __init__(self, signer: Any, chance: random.Random) -> None:
        self._signer, self._chance = signer, chance
        self.jose_algorithm: Any = chance.choice((signer.jose_algorithm, None, 1, [], {}))
        self.key_id: Any = chance.choice((signer.key_id, None, 1, [], {}, "x"))

    def sign(self, data: bytes) -> bytes:
        made: bytes = self._signer.sign(data)
        return self._chance.choice((made, b"", b".", b"x" * 64, by_bytes(made, self._chance)))


# --- REST -------------------------------------------------------------------------------------------------------------


def answered(gateway: Identity, authority: Authority, request: httpsig.Message) -> tuple[dict[str, str], bytes]:
    body, note = b'{"a":1}', base64.b64encode(authority.note(1, LEAF).encode()).decode()
    headers = {
        "content-type": "application/json", "content-digest": httpsig.digest_header(body), "lgsp-transfer": "t-1",
        "lgsp-receipt": f"intent=:{base64.b64encode(LEAF).decode()}:", "lgsp-checkpoint": f":{note}:",
    }  # fmt: skip
    return headers | httpsig.sign_answer(
        httpsig.Message(headers, status=200, request=request), gateway.signer, created=int(time.time())
    ), body


@pytest.mark.attack("a hostile gateway")
def test_mutated_answers_end_in_the_clients_own_error(me: Identity, gateway: Identity, province: Province) -> None:
    client = RestClient(me)
    prepared = client.prepare("POST", "/x/v1/y", b"{}", token="t")
    request = httpsig.Message(prepared.headers, prepared.method, prepared.target)
    headers, body = answered(gateway, province.authority, request)
    assert client.judge(prepared, RawAnswer(200, headers, body)).verified
    refused = 0
    for number in range(MANY):
        chance = random.Random(SEED + number)
        name, made, content = chance.choice(list(headers)), dict(headers), body
        kind = chance.randrange(5)
        if kind == 0:
            del made[name]
        elif kind == 1:
            made[name] = chance.choice(TEXTS)
        elif kind == 2:
            made[name] = by_bytes(headers[name].encode(), chance).decode("latin-1")
        elif kind == 3:
            made = signed_headers(made, name, chance, request, gateway)
        else:
            content = chance.choice((by_bytes(body, chance), *JSONS))
        told = f"seed {SEED + number}: {name}: {made.get(name, '')[:300]!r} {content[:100]!r}"
        refused += only_its_own(
            partial(lambda made, content: use(client.judge(prepared, RawAnswer(200, made, content))), made, content),
            told,
        )
    assert refused > MANY / 3
    for content in JSONS:
        for status in (200, 400):
            told = f"{status} {content[:200]!r}"
            plain = RawAnswer(status, {"content-type": "application/problem+json"}, content)
            only_its_own(partial(lambda plain: use(client.judge(prepared, plain, need_signature=False)), plain), told)
            only_its_own(partial(client.keep_token, plain), told)
        assert client.keeper is not None
        only_its_own(partial(audit.check_proof, content, client.keeper.key), repr(content[:200]))


def signed_headers(
    headers: dict[str, str], name: str, chance: random.Random, request: httpsig.Message, gateway: Identity
) -> dict[str, str]:
    """Nonsense that is properly signed."""
    made = {each: text for each, text in headers.items() if not each.startswith("signature")}
    if name in made:
        made[name] = chance.choice(TEXTS)
    try:
        return made | httpsig.sign_answer(
            httpsig.Message(made, status=200, request=request), gateway.signer, created=int(time.time())
        )
    except BadField:
        return made | {each: text for each, text in headers.items() if each.startswith("signature")}


def use(answer: Answer) -> None:
    """What callers do with an answer."""
    answer.json()
    assert answer.problem is None or isinstance(answer.problem, dict)
    rest.receipt_lines(answer.receipt, answer.checkpoint)


@pytest.mark.attack("a hostile gateway")
def test_nonsense_in_small_readers_ends_in_their_own_error(province: Province) -> None:
    key = audit.LogKey.parse(province.authority.log_vkey)
    note = province.authority.note(1, LEAF)
    for text in [*TEXTS, *(each.decode("utf-8", "surrogateescape") for each in JSONS)]:
        only_its_own(partial(fields.read_dictionary, text), repr(text[:100]))
        only_its_own(partial(fields.read_string, text), repr(text[:100]))
        only_its_own(partial(lambda text: audit.read_checkpoint(text, key), text), repr(text[:100]))
        only_its_own(partial(audit.LogKey.parse, text), repr(text[:100]))
        only_its_own(partial(lambda text: audit.Receipt.from_headers({"lgsp-receipt": text}), text), repr(text[:100]))
        rest.receipt_lines(None, text)
    for size in ("²", "१", "1" * 5_000, "-1", "01", "", "1\n2", "9" * 400):
        for root in (base64.b64encode(LEAF).decode(), "ấ", ""):
            made = signed_note(province.authority, f"{key.name}\n{size}\n{root}\n")
            only_its_own(partial(lambda made: audit.read_checkpoint(made, key), made), repr(size[:20]))
    for number in range(MANY):
        made = by_bytes(note.encode(), random.Random(SEED + number)).decode("utf-8", "replace")
        only_its_own(partial(lambda made: audit.read_checkpoint(made, key), made), repr(made[:300]))


def signed_note(authority: Authority, text: str) -> str:
    name = authority.log_vkey.partition("+")[0]
    signature = base64.b64encode(
        bytes.fromhex(authority.log_vkey.split("+")[1]) + authority.log_key.sign(text.encode())
    ).decode()
    return f"{text}\n— {name} {signature}\n"


@pytest.mark.attack("a hostile gateway")
def test_entries_of_a_proof_that_are_none_end_in_the_clients_own_error(province: Province) -> None:
    key = audit.LogKey.parse(province.authority.log_vkey)
    sound = {"phase": "intent", "index": 0, "leaf": base64.b64encode(LEAF).decode(), "entry": "entry", "proof": []}
    content: dict[str, Any] = {"checkpoint": province.authority.note(1, LEAF), "entries": [sound]}
    audit.check_proof(json.dumps(content).encode(), key)
    odd: list[Any] = [None, 1, -1, 0.5, 10**400, "", "ấ", "\ud800", [], {}, [None], True, "x" * 9_999]
    for value in odd:
        for made in [
            {**content, "entries": value},
            {**content, "entries": [value]},
            {**content, "checkpoint": value},
            value,
        ]:
            only_its_own(
                partial(lambda made: audit.check_proof(json.dumps(made).encode(), key), made), repr(made)[:200]
            )
        for name in sound:
            made = {**content, "entries": [{**sound, name: value}]}
            only_its_own(
                partial(lambda made: audit.check_proof(json.dumps(made).encode(), key), made),
                f"{name}: {value!r}"[:200],
            )
