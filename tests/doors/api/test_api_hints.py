"""A sandbox tells why a signature is wrong, to whom the channel has proved; production never does."""

from __future__ import annotations

import pytest
from lxml import etree

from contracts.base.errors import Finding
from contracts.faces.wsdl import PROBLEM_SCHEMA
from contracts.wire import faults
from contracts.wire.soap import LGSP
from security.errors import SIGNATURE_WRONG
from security.http_signatures import HttpRequest, sign_request
from tests.doors.api.client import BASE, World, ask

FEED = "/feeds/incident-alert/v1?limit=10"


@pytest.mark.parametrize("explains", [True, False])
async def test_a_wrong_target_is_explained_in_a_sandbox_alone(world: World, explains: bool) -> None:
    assert not world.services.rest.explains  # unless the settings say sandbox
    world.services.rest.explains = explains
    identity = world.identities["dieu-hanh"]
    token = (await world.token("dieu-hanh")).json["access_token"]
    headers = {"authorization": f"Bearer {token}", "accept-language": "en", "host": "127.0.0.1:8443"}
    elsewhere = HttpRequest("GET", f"https://127.0.0.1:8443{FEED}", headers, b"")
    headers |= sign_request(elsewhere, identity.sign, world.services.clock())
    answer = await ask(world.app, "GET", FEED, headers, certificate=identity.tls_der)
    assert (answer.status, answer.json["code"]) == (401, "signature.wrong")
    if explains:
        assert f'"@target-uri": {BASE}{FEED}\n' in answer.json["signatureBase"]
        assert "another authority" in answer.json["findings"][0]["got"]
    else:
        assert "signatureBase" not in answer.json and "findings" not in answer.json


async def test_nothing_is_explained_to_whom_the_channel_has_not_proved(world: World) -> None:
    world.services.rest.explains = True
    answer = await ask(world.app, "GET", FEED, await world.signed_headers("dieu-hanh", "GET", "/feeds/x"))
    assert answer.status == 401 and "signatureBase" not in answer.json


def test_a_fault_with_hints_fits_the_served_schema() -> None:
    failure = SIGNATURE_WRONG(key="y-te.sign-1", findings=[Finding("Signature", "", "DER", "signature", "r‖s")])
    schema = etree.XMLSchema(etree.fromstring("\n".join(PROBLEM_SCHEMA)))
    for base in ("", "<ds:SignedInfo>…</ds:SignedInfo>"):
        failure.signature_base = base
        (problem,) = etree.fromstring(faults.fault(failure, "t-1")).iter(f"{{{LGSP}}}Problem")
        schema.assertValid(problem)
        assert (problem.findtext(f"{{{LGSP}}}SignatureBase") or "") == base
