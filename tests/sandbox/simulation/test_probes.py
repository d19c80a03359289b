"""What a provider under test is tried with; a simulated provider stands the trial."""

from __future__ import annotations

import ssl
import unicodedata
import uuid

import pytest
from cryptography import x509
from lxml import etree

from contracts.canonical.model import Pattern
from contracts.compiled.contract import catalogue
from gateway.keys.keyring import Keyring
from gateway.sample_client.signing import Signer
from gateway.sandbox.simulation.probes import EXPECTED, LETTERS, AsGateway, Probe, probes
from tests.sandbox.simulation.conftest import SYSTEM, Simulated

TABLE = [
    (compiled, operation, codec, way)
    for compiled in catalogue()
    for operation in compiled.contract.operations.values()
    for codec in compiled.formats.values()
    for way, media in (("rest", "json"), ("soap", "xml"))
    if operation.pattern is not Pattern.SUBMIT
    and compiled.contract.protection == "signed"
    and media in codec.speaks
    and (way == "soap" or codec.rest[operation.name].method == "POST")
]


@pytest.fixture(scope="module")
def gateway(simulated: Simulated) -> AsGateway:
    keyring = Keyring(simulated.settings)
    key = keyring.signing_key()
    context = ssl.create_default_context(cafile=str(keyring.trust_anchors))
    password = keyring.at_rest.password
    context.load_cert_chain(keyring.client_certificate, keyring.client_key, password or b"")
    return AsGateway(Signer(key.key_id, key.private, x509.load_der_x509_certificate(key.certificate_der)), context)


@pytest.mark.parametrize(
    ("compiled", "operation", "codec", "way"),
    TABLE,
    ids=[f"{c.contract.name} {o.name} {f.name} {w}" for c, o, f, w in TABLE],
)
def test_a_simulated_provider_stands_every_probe(
    simulated: Simulated, gateway: AsGateway, compiled: object, operation: object, codec: object, way: str
) -> None:
    found = probes(compiled, operation, codec, "json" if way == "rest" else "xml")  # type: ignore[arg-type]
    assert {"repeat", "bad-signature", "unknown-field", "empty"} <= {each.kind for each in found} <= set(EXPECTED)
    base = f"{simulated.url}/{SYSTEM}/{compiled.contract.name}/{codec.name}"  # type: ignore[attr-defined]
    for each in found:
        transfer = str(uuid.uuid4())

        def ask(probe: Probe = each, again: str = transfer) -> tuple[int, bytes]:
            spoil = probe.kind == "bad-signature"
            if way == "rest":
                at = codec.rest[operation.name].path  # type: ignore[attr-defined]
                answer = gateway.rest(base + at, probe.body, again, spoil=spoil)
            else:
                action = codec.soap_action(operation.name)  # type: ignore[attr-defined]
                answer = gateway.soap(base, action, probe.body, again, spoil=spoil)
            return answer.status, _content(answer.body)

        status, content = ask()
        if each.expected == "refused":
            assert status in (400, 401, 500) and b"Fault" in content or status in (400, 401), each.kind
        elif each.expected == "no-fault":
            assert content and status in (200, 400, 500)
        else:
            assert status == 200, (each.kind, status, content[:500])
        if each.expected == "same-answer":
            assert ask() == (status, content)


def _content(body: bytes) -> bytes:
    if not body.startswith(b"<"):
        return body
    found = etree.fromstring(body).find("{*}Body")
    assert found is not None and len(found) == 1
    return etree.tostring(found[0], method="c14n", exclusive=True)


def test_the_letters_are_all_there() -> None:
    assert unicodedata.is_normalized("NFC", LETTERS) and len({*LETTERS} - {" "}) == 2 * (12 * 6 + 1)
