"""A quota walked around: by a second grant for the same operation, by a repeat, by another door. The fields that a
grant shows within a quota are seen so many times and no more, whatever else its holder may do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest

from examples.story.exchange import INDICATOR, QUESTION
from examples.story.world import World
from gateway.sandbox.standins import messages
from tests.attacks import raw
from tests.attacks.conftest import Judge
from tests.stored import rows

pytestmark = pytest.mark.server

CALLER, AGENCY = "canh-bao", "H14.2"  # whom nobody granted any indicator
VALUES: Final = messages.indicator_question(**QUESTION)
WIDE, NARROW, LAST = (f"G-{uuid.uuid4().hex[:8]}" for _ in range(3))
FEED: Final = f"/feeds/{INDICATOR}"
CALLS: Final = 2


def granted(world: World, *grants: dict[str, Any]) -> None:
    common = {"agency": AGENCY, "contract": INDICATOR, "purpose": "x", "legal_basis": "y"}
    texts = [
        json.dumps(common | each)[:-1] + ', "valid_from": 2026-01-01, "valid_until": 2030-12-31}' for each in grants
    ]
    file = world.data / "run" / f"{WIDE}.yaml"
    file.write_text(f'{{"grants": [{", ".join(texts)}]}}', "utf-8")
    assert world.lgsp("access", "propose", str(file), "--data", str(world.data))["ok"]
    for each in grants:
        for officer in ("can-bo-an-toan-1", "can-bo-an-toan-2"):
            key = str(world.identities / officer / "officer.key")
            assert world.lgsp(
                "access", "approve", each["id"], "--officer", officer, "--key", key, "--data", str(world.data)
            )["ok"]


@pytest.fixture(scope="module")
def grants(world: World) -> Iterator[None]:
    granted(
        world,
        {"id": WIDE, "operations": ["getValue"], "fields": ["*"], "quota": {"calls": CALLS, "per": "month"}},
        {"id": NARROW, "operations": ["getValue"], "fields": ["*", "!responsible"]},
        {"id": LAST, "operations": ["feed"], "fields": ["*"]},
    )
    # Who knows the last one knows all; every door does, as far as ten connections can tell.
    world.wait("the grants to be known", lambda: all(fresh(world, FEED).status == 200 for _ in range(10)))
    yield
    for name in (WIDE, NARROW, LAST):
        world.lgsp("access", "revoke", name, "--data", str(world.data))


def fresh(world: World, path: str) -> raw.Told:
    """A call on a connection of its own, which any door may take."""
    told = raw.ask(world.identity(CALLER), raw.of(world.rest(CALLER).prepare("GET", path)))
    assert told is not None
    return told


def explained(world: World) -> dict[str, Any]:
    return world.lgsp("access", "explain", AGENCY, INDICATOR, "getValue", "--data", str(world.data))


def ask(world: World, message: str | None = None) -> Any:
    """One call, which is answered; whoever is responsible, or that it is hidden."""
    answer = world.rest(CALLER).call("GET", VALUES, message_id=message)
    assert answer.verified and answer.status == 200, answer.body[:300]
    return answer.json()["responsible"]


def hidden(responsible: Any) -> bool:
    return bool(responsible == {"absent": "not-permitted"})


def counted(world: World) -> list[tuple[str, int]]:
    return rows(world.data, "select grant_id, used from quota_use where agency = ?", AGENCY)


@pytest.mark.attack("a quota walked around")
def test_by_another_grant_a_repeat_or_another_connection(world: World, grants: None) -> None:
    ids = [str(uuid.uuid4()) for _ in range(CALLS + 4)]
    first = [ask(world, each) for each in ids]
    assert [hidden(each) for each in first] == [False] * CALLS + [True] * 4, (
        "beyond the quota its fields are hidden, and the call is answered"
    )
    assert [ask(world, each) for each in ids] == first, (
        "a repeat sees what the first answer showed, not less and not more"
    )
    assert counted(world) == [(WIDE, CALLS)]
    told = explained(world)
    assert (
        told["ok"]
        and told["grant"] == NARROW
        and told["quotas"][WIDE]["left"] == 0
        and "IndicatorValue: responsible.phone" in told["hidden"]
    )


@pytest.fixture
def alone(world: World, grants: None) -> None:
    """The grant that has no quota is given up."""
    for name in (NARROW, LAST):
        assert world.lgsp("access", "revoke", name, "--data", str(world.data))["ok"]
    world.wait("it to be known", lambda: all(fresh(world, FEED).status == 403 for _ in range(10)))


@pytest.mark.attack("a quota walked around")
def test_when_no_other_grant_is_left(world: World, alone: None, judge: Judge) -> None:
    told = judge.refused(fresh(world, VALUES), "access.quota", 429)
    assert int(told.headers["retry-after"]) > 0
    why = explained(world)
    assert not why["ok"] and why["reason"] == "quota"
