"""What was taken before a restart is not taken after it; what was revoked stays so. An instance of its own, stopped and
started again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from gateway.cli import run
from gateway.sandbox import agents, live
from gateway.sandbox.standins import messages
from tests.attacks.conftest import Judge
from tests.attacks.raw import Told, ask, of
from tests.journal.databases import fresh_url

pytestmark = pytest.mark.server
OWN_KEYS_LATER = "y-te"


@pytest.mark.attack("replay")
@pytest.mark.attack("revoked certificates")
def test_across_a_restart(place: Path) -> None:
    settings = replace(demo_settings(place), database=fresh_url("postgresql", place), doors=1)
    run.ensure_instance(settings, say_progress=False)
    without = frozenset({"traffic", *live.endpoints(settings), *agents.CALLERS, *agents.PROVIDERS})
    with running(settings, without):
        world = world_of(settings)
        world.rest(OWN_KEYS_LATER).token()
        assert world.lgsp(
            "registry", "revoke", f"{OWN_KEYS_LATER}.tls-1", "--reason", "keyCompromise", "--data", str(settings.data)
        )["ok"]
        judge = Judge(world)

        def revoked() -> Told | None:
            told = ask(world.identity(OWN_KEYS_LATER), of(world.rest(OWN_KEYS_LATER).prepare("GET", "/transfers/x")))
            return told if told is not None and told.code == "channel.revoked" else None

        judge.refused(world.wait("the revocation at the door", revoked), "channel.revoked", 403)
        # last, for what is signed is good for a minute
        raw = json.dumps(messages.fire_alarm(), ensure_ascii=False).encode()
        sent = {
            "REST": ("bao-chay", world.rest("bao-chay").prepare("POST", "/incident-alert/v1/alerts", raw)),
            "SOAP": (
                "canh-bao",
                world.soap("canh-bao").prepare("incident-alert/v1", "submitAlert", messages.cap_alert()).request,
            ),
            "an API": ("dieu-hanh", world.rest("dieu-hanh").prepare("GET", "/feeds/incident-alert/v1")),
            "a token": ("phan-anh", world.rest("phan-anh").token_request()),
        }
        for name, (who, prepared) in sent.items():
            told = ask(world.identity(who), of(prepared))
            assert told is not None and told.status == 200, (name, told)
    codes = {
        "REST": "message.replayed",
        "SOAP": "message.replayed",
        "an API": "api.replayed",
        "a token": "token.assertion-used",
    }
    with running(settings, without):
        for name, (who, prepared) in sent.items():
            told = ask(world.identity(who), of(prepared))
            assert told is not None
            headers = told.headers if name == "SOAP" else {**told.headers, "content-type": "application/problem+json"}
            judge.refused(Told(told.status, headers, told.body), codes[name])
        prepared = world.rest(OWN_KEYS_LATER).prepare("GET", "/transfers/x", token="a.b.c")
        judge.refused(ask(world.identity(OWN_KEYS_LATER), of(prepared)), "channel.revoked", 403)
        found = judge.log()
    assert found == {transfer: [code] for transfer, (code, _) in judge.told.items()}
