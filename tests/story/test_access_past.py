"""A real gateway's decisions, judged again after a restart and after the grant was revoked: as they were made."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.exchange import INDICATOR, QUESTION
from examples.story.world import World
from gateway.cli import run
from gateway.sandbox import agents, live
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests import commandline
from tests.journal.databases import fresh_url

pytestmark = pytest.mark.server

CALLER, AGENCY = "canh-bao", "H14.2"  # whom nobody granted any indicator
VALUES = messages.indicator_question(**QUESTION)
GRANT = f"G-{uuid.uuid4().hex[:8]}"


def call(world: World) -> tuple[int, str]:
    answer = world.rest(CALLER).call("GET", VALUES)
    return answer.status, answer.headers["lgsp-transfer"]


def granted(world: World, settings: Settings) -> None:
    about: dict[str, Any] = {"id": GRANT, "agency": AGENCY, "contract": INDICATOR, "purpose": "x", "legal_basis": "y"}
    about |= {"operations": ["getValue"], "quota": {"calls": 9, "per": "month"}}
    days = ', "valid_from": 2026-01-01, "valid_until": 2030-12-31}'
    file = settings.data / "run" / "grant.yaml"
    file.write_text(f'{{"grants": [{json.dumps(about)[:-1]}{days}]}}', "utf-8")
    assert world.lgsp("access", "propose", str(file), "--data", str(settings.data))["ok"]
    for officer in ("can-bo-an-toan-1", "can-bo-an-toan-2"):
        key = ("--officer", officer, "--key", str(world.identities / officer / "officer.key"))
        assert world.lgsp("access", "approve", GRANT, *key, "--data", str(settings.data))["ok"]


@pytest.mark.full
def test_decisions_are_judged_as_they_were_made(tmp_path: Path) -> None:
    settings = replace(demo_settings(tmp_path / "data"), database=fresh_url("postgresql", tmp_path), doors=1)
    run.ensure_instance(settings, say_progress=False)
    without = frozenset({"traffic", *agents.CALLERS, *agents.PROVIDERS, *live.endpoints(settings)} - {"kinh-te"})
    place = ("--data", str(settings.data))
    with running(settings, without):
        world = world_of(settings)
        status, refused = call(world)
        assert status == 403
        granted(world, settings)
        accepted = world.wait("the grant at the door", lambda: (told := call(world))[0] == 200 and told[1])
        status, second = call(world)
        assert status == 200
    with running(settings, without):
        assert world.lgsp("access", "revoke", GRANT, *place)["ok"]
        last = world.wait("the revocation at the door", lambda: (told := call(world))[0] == 403 and told[1])

    def told(*words: str) -> dict[str, Any]:
        """In this process: the gateway has ended."""
        found: dict[str, Any] = json.loads(commandline.lgsp(*words, *place, "--json").out)
        return found

    def explained(*words: str) -> dict[str, Any]:
        return told("access", "explain", *words)

    then = explained("--transfer", accepted)
    assert then["allowed"] and then["agrees"] and then["grant"] == GRANT and then["quotas"][GRANT]["used"] == 0
    assert explained("--transfer", second)["quotas"][GRANT]["used"] == 1, "counted from the log, up to then"
    assert then["logged"] == {"accepted": True, "grant": GRANT, "receiving": ["G-0014"], "provider": "kinh-te"}
    for transfer in (refused, last):
        why = explained("--transfer", transfer)
        assert not why["allowed"] and why["agrees"] and why["logged"]["failure"] == f"access.{why['reason']}"
    asked = (AGENCY, INDICATOR, "getValue")
    assert explained(*asked, "--at", then["at"])["grant"] == GRANT and not explained(*asked)["allowed"]
    text = commandline.lgsp("access", "explain", "--transfer", refused, *place).out
    assert text.startswith("It was right to refuse this call")
    shown = told("audit", "show", refused, accepted, last)
    assert [(each["allowed"], each["agrees"]) for each in shown["judged"]] == [
        (False, True),
        (True, True),
        (False, True),
    ]
    by = {each["transfer"]: each["registry"] for each in shown["entries"] if each["kind"] in ("intent", "refusal")}
    assert by == {each["transfer"]: each["registry"] for each in shown["judged"]}
    assert by[refused] < by[accepted] < by[last]
    assert told("audit", "verify")["registry"]["wrong"] == []
