"""A reader goes on with a feed after it lost what let it read; another one goes on with its cursor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting
from tests.doors.api.client import World, opened
from tests.registry.making import House, approve_all, province, sign_proposals

ATTACK = pytest.mark.attack("access: by a feed")
FEED = "/feeds/incident-alert/v1"
ONE, TWO = (f"01935b6e-0000-7000-8000-00000000000{number}" for number in (1, 2))
GRANT = "G-0004"  # whoever has the role of the centre reads alerts


def revoked(connection: Connection) -> None:
    granting.revoke(connection, GRANT, 0.0)


def suspended(connection: Connection) -> None:
    store.set_state(connection, "grant", GRANT, active=False)


def narrowed(connection: Connection) -> None:
    held = granting.content_of(connection, GRANT)
    granting.propose(connection, granting.Proposal(replace(held, fields=("*", "!note"), edition=held.edition + 1)), 0.0)
    approve_all(connection)


def without_role(connection: Connection) -> None:
    wanted = province()
    agencies = tuple(replace(each, roles=()) if each.code == "H14.0" else each for each in wanted.agencies)
    store.apply(replace(wanted, agencies=agencies), connection, 0.0)
    sign_proposals(connection)


def moved(connection: Connection) -> None:
    """The reading system is another agency's now, which may not read."""
    wanted = province()
    systems = tuple(replace(each, agency="H14.21") if each.id == "dieu-hanh" else each for each in wanted.systems)
    store.apply(replace(wanted, systems=systems), connection, 0.0)
    sign_proposals(connection)


@ATTACK
@pytest.mark.parametrize("how", [revoked, suspended, narrowed, without_role, moved], ids=lambda how: str(how.__name__))
async def test_the_next_page_shows_what_is_granted_now(how: Any, tmp_path: Path, keys: House) -> None:
    async with opened(tmp_path / "api", keys) as world:
        for transfer in (ONE, TWO):
            await world.hand_in(transfer, {"identifier": transfer, "note": f"private-{transfer[-1]}"})
        world.sequence()
        first = await world.signed("dieu-hanh", f"{FEED}?limit=1")
        assert b"private-1" in first.body and first.json["more"] is True
        other = await world.signed("thuc-phan", f"{FEED}?after={first.json['next']}")
        assert other.status == 403 and b"private" not in other.body
        change(world, how)
        for place in (f"{FEED}?after={first.json['next']}", FEED):
            again = await world.signed("dieu-hanh", place)
            assert b"private" not in again.body and again.status == (200 if how is narrowed else 403), again.body


def change(world: World, how: Any) -> None:
    with writing(world.engine) as connection:
        how(connection)
        store.raise_revision(connection)
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)


@ATTACK
@pytest.mark.parametrize("how", [revoked, suspended, narrowed, without_role, moved], ids=lambda how: str(how.__name__))
async def test_who_waits_sees_what_is_granted_when_the_event_comes(how: Any, tmp_path: Path, keys: House) -> None:
    async with opened(tmp_path / "api", keys) as world:
        waiting = asyncio.create_task(world.signed("dieu-hanh", f"{FEED}?wait=30"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        change(world, how)
        await world.hand_in(ONE, {"identifier": ONE, "note": "private-1"})
        world.sequence()
        answer = await asyncio.wait_for(waiting, 25)
        assert b"private" not in answer.body and answer.status == (200 if how is narrowed else 403), answer.body
