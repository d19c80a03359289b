"""What the tests of several articles do with the shared instance."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from examples.story.exchange import ALERTS, read_feed
from examples.story.grants import OFFICERS
from examples.story.world import World
from gateway.sample_client.rest import Answer
from gateway.settings import Settings
from tests.following import everywhere
from tests.stored import rows

HANDLINGS = "handling/v1"
ALERT = "/incident-alert/v1/alerts"


def outside(world: World) -> requests.Session:
    """Somebody without a certificate, who reads what the gateway publishes."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(world.identity("dieu-hanh").folder / "ca.crt")
    return session


def published(world: World, path: str) -> Any:
    answer = outside(world).get(world.identity("dieu-hanh").gateway + path, timeout=60)
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()


def sample(world: World, contract: str, message: str) -> Any:
    """The first valid sample of a message that the contract publishes."""
    return next(
        json.loads(each["content"])
        for each in published(world, f"/contracts/{contract}/samples")
        if each["valid"] and (each["format"], each["message"]) == ("canonical", message)
    )


def accepted(answer: Answer) -> str:
    """The transfer of a message that was taken in."""
    assert answer.ok and answer.verified, f"{answer.status} {answer.body[:300]!r}"
    return str(answer.headers["lgsp-transfer"])


def entries(world: World, transfer: str) -> dict[str, Any]:
    """The entries of the log about a transfer, by kind."""
    shown = world.lgsp("audit", "show", transfer, "--data", str(world.data))
    return {each["kind"]: each for each in shown["entries"]}


def case(world: World, *words: str) -> dict[str, Any]:
    """What `lgsp case` answers."""
    answer: dict[str, Any] = world.lgsp("case", *words, "--data", str(world.data))
    return answer


def log(instance: Settings) -> list[dict[str, Any]]:
    """All entries, with those that have no index yet."""
    tables = " UNION ALL ".join(f"SELECT entry FROM {name}" for name in ("log_entry", "log_pending"))
    return [json.loads(entry) for (entry,) in rows(instance, tables)]


def steps_of(instance: Settings, case: str) -> list[tuple[str, str]]:
    """Act and agency of the entries of the log about a case, in their order."""
    noted = [each["facts"] for each in log(instance) if each.get("what") == "case"]
    own = sorted((each for each in noted if each["case"] == case), key=lambda each: int(each["number"]))
    return [(each["act"], each["agency"]) for each in own]


def event_of(world: World, transfer: str, contract: str = ALERTS) -> dict[str, Any]:
    """The event of a message in the centre's feed."""

    def found() -> dict[str, Any] | None:
        return next((each for each in read_feed(world, contract) if each["id"] == transfer), None)

    event: dict[str, Any] = world.wait("the message in the feed", found)
    return event


def handling_of(world: World, transfer: str, steps: int = 1) -> dict[str, Any]:
    """How the handling of a message stands after so many steps, as the centre's feed of handlings has it."""

    def found() -> dict[str, Any] | None:
        taken = [each["data"] for each in read_feed(world, HANDLINGS) if each["data"]["transfer"] == transfer]
        return taken[steps - 1] if len(taken) >= steps else None

    handling: dict[str, Any] = world.wait("a handling", found)
    return handling


def today() -> str:
    """In Vietnam."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * 3600))


@contextmanager
def granted(world: World, instance: Settings, **terms: Any) -> Iterator[str]:
    """A grant that two officers sign, and that is given up at the end."""
    name, data = f"G-{uuid.uuid4().hex[:8]}", ("--data", str(world.data))
    grant = {"id": name, "fields": ["*"], "purpose": "Thực hiện Quy chế", "legal_basis": "Quyết định 451/QĐ-UBND"}
    text = json.dumps(grant | terms, ensure_ascii=False)[:-1] + ', "valid_from": 2026-01-01, "valid_until": 2030-12-31}'
    file = world.data / "run" / f"{name}.yaml"
    file.write_text(f'{{"grants": [{text}]}}', "utf-8")
    assert world.lgsp("access", "propose", str(file), *data)["ok"]
    for officer in OFFICERS:
        key = str(world.identities / officer / "officer.key")
        assert world.lgsp("access", "approve", name, "--officer", officer, "--key", key, *data)["ok"]
    everywhere(instance)
    try:
        yield name
    finally:
        assert world.lgsp("access", "revoke", name, *data)["ok"]
        everywhere(instance)
