"""Suspended with notice, on every door and on connections that live on, with the next look of each; and let in again.

That the next look comes within two seconds is held in `tests/registry/test_registry_store.py`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from examples.story.exchange import INDICATOR, QUESTION, question
from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.following import everywhere

pytestmark = pytest.mark.server

VALUES = messages.indicator_question(**QUESTION)
WHY = {"vi": "Nghi lộ khóa ký, chờ kiểm tra", "en": "A signing key may have leaked; under inspection"}


def told_by(answer: Any) -> tuple[str, dict[str, str]]:
    """The code of a refusal and its whole words in each language, from a problem document or a Fault; an empty code
    where it was answered."""
    if hasattr(answer, "problem"):
        problem = answer.problem
        if problem is None:
            return "", {}
        return problem["code"], {each: " ".join(problem["messages"][each].values()) for each in ("vi", "en")}
    fault = answer.fault
    return (
        ("", {})
        if fault is None
        else (fault.problem, {each: f"{fault.detail[each]} {fault.next[each]}" for each in ("vi", "en")})
    )


@pytest.mark.parametrize(
    ("what", "name", "code"),
    [
        (("registry", "suspend", "agency"), "H14.7", "channel.suspended"),
        (("registry", "suspend", "system"), "y-te", "channel.suspended"),
        (("access", "suspend"), "G-0006", "access.suspended"),
    ],
)
def test_with_notice_on_every_door_and_back(
    world: World, instance: Settings, what: tuple[str, ...], name: str, code: str
) -> None:
    rest, soap = world.rest("y-te"), world.soap("y-te")
    doors: dict[str, Callable[[], Any]] = {
        "REST": lambda: rest.call("GET", VALUES),
        "SOAP": lambda: soap.call(INDICATOR, "getValue", question()),
    }
    if code == "channel.suspended":
        doors["transfers"] = lambda: rest.call("GET", "/transfers/01890000-0000-7000-8000-000000000000")
        doors["feeds"] = lambda: rest.call("GET", f"/feeds/{INDICATOR}")
    before = {door: told_by(ask())[0] for door, ask in doors.items()}  # the connections are open from here on
    assert before["REST"] == before["SOAP"] == "" and code not in before.values()
    data = ("--data", str(world.data))
    words = ("--reason-vi", WHY["vi"], "--reason-en", WHY["en"], "--until", "2030-01-01T17:30")
    try:
        assert world.lgsp(*what, name, *words, *data)["changes"][0]["how"] == "suspended"
        everywhere(instance)
        for ask in doors.values():
            told, said = told_by(ask())
            assert told == code
            for language, reason in WHY.items():
                assert reason in said[language] and "2030-01-01T17:30+07:00" in said[language]
            assert "@" in said["vi"] and "0206" in said["en"], "whom to ask, and how they are reached"
    finally:
        resume = tuple("resume" if word == "suspend" else word for word in what)
        assert world.lgsp(*resume, name, *data)["changes"][0]["how"] == "resumed"
    everywhere(instance)
    assert {door: told_by(ask())[0] for door, ask in doors.items()} == before
    assert {(each["what"], (each["facts"].get("reason") or {}).get("en")) for each in noted(world, name)} >= {
        ("suspended", WHY["en"]),
        ("resumed", None),
    }


def noted(world: World, name: str) -> list[dict[str, Any]]:
    """Entries of the log that speak of a change of this one."""
    base = sqlite3.connect(f"file:{world.data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        found = [
            json.loads(entry)
            for table in ("log_pending", "log_entry")  # in this order none is missed that moves meanwhile
            for (entry,) in base.execute(f"select entry from {table} where phase in ('suspended', 'resumed')")
        ]
    finally:
        base.close()
    return [each for each in found if any(change["id"] == name for change in each["facts"]["changes"])]
