"""What each attack is judged by: nothing reached a provider, the refusal is in the log, and the door goes on."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks.raw import Told, ask, loaded, of
from tests.journal.databases import KINDS, fresh_url
from tests.size import FULL
from tests.stored import rows

MUCH = 60  # times what a plain message of that size costs: what nothing guards against takes minutes
PROVIDERS = ("do-thi", "kinh-te")
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")


@dataclass
class Judge:
    """Gathers refusals; all of them are looked up in the log at the end, since one look costs as much as many."""

    world: World
    told: dict[str, tuple[str, int]] = field(default_factory=dict)

    def refused(self, told: Told | None, code: str, status: int | None = None) -> Told:
        assert told is not None, f"no answer where {code} was due"
        assert told.code == code, (told.status, told.body[:300])
        assert status is None or told.status == status
        assert told.transfer, "a refusal names its transfer"
        self.told[told.transfer] = (code, told.status)
        return told

    def seen(self) -> dict[str, int]:
        """Calls that reached each provider, by its own journal."""
        return {name: called(self.world.data / "run" / f"{name}.sqlite") for name in PROVIDERS}

    def log(self) -> dict[str, list[str]]:
        """The failures that the log holds of each gathered transfer; what a flood of strangers adds up to is written a
        second later."""
        found = self._logged()
        for _ in range(600):
            if all(found.values()):
                break
            time.sleep(0.1)
            found = self._logged()
        return found

    def _logged(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for transfer in self.told:
            # In one statement: the keeper moves entries from the one table to the other.
            query = " union all ".join(
                f"select entry from {table} where transfer = ?" for table in ("log_entry", "log_pending")
            )
            found[transfer] = [
                json.loads(entry)["failure"] for (entry,) in rows(self.world.data, query, transfer, transfer)
            ]
        return found


def called(journal: Path) -> int:
    base = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=60)
    try:
        return int(base.execute("select count(*) from calls").fetchone()[0])
    finally:
        base.close()


class Kept(World):
    """A world whose identities are read once: reading a key checks it, which takes longer than an attack."""

    def identity(self, system: str) -> Identity:
        return loaded(self.identities / system)


@pytest.fixture(scope="session", params=KINDS if FULL else ["postgresql"])
def instance(request: pytest.FixtureRequest) -> Settings:
    """Attacks meet the database that a production has; in full size SQLite too, which the other tests run on."""
    settings: Settings = request.getfixturevalue(f"instance_on_{request.param}")
    return settings


@pytest.fixture(scope="session")
def world(instance: Settings) -> World:
    made = world_of(instance)
    return Kept(made.data, made.identities, made.command, made.standins)


BODY_SECONDS = 2.0
PLACES: dict[str, Any] = {"certificate_connections": 16, "agency_connections": 24, "source_connections": 12}


@pytest.fixture(scope="session", params=KINDS if FULL else ["postgresql"])
def narrow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance with one door process and a short deadline of bodies; on the databases of `instance`."""
    folder = tmp_path_factory.mktemp("narrow")
    settings = replace(
        demo_settings(folder / "data"),
        database=fresh_url(request.param, folder) if request.param == "postgresql" else "",
        doors=1,
        body_seconds=BODY_SECONDS,
        live=False,
        **PLACES,
    )
    with running(settings):
        made = world_of(settings)
        yield Kept(made.data, made.identities, made.command, made.standins)


@pytest.fixture(scope="module")
def some_refused(world: World) -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def shown(world: World, some_refused: dict[str, str]) -> Iterator[None]:
    """The command shows them too: once a module, since a process costs more than a look."""
    yield
    assert world.rest("y-te").call("GET", QUESTION).ok, "the door goes on"
    if some_refused:
        told = world.lgsp("audit", "show", *some_refused, "--data", str(world.data))
        assert {entry["transfer"]: entry["failure"] for entry in told["entries"]} == some_refused


@pytest.fixture(scope="module")
def plain(world: World) -> float:
    """Seconds in which four megabytes of which nothing needs to be read are refused here: what a costly message is
    measured by."""
    identity = world.identity("bao-chay")
    body = b'"' + b"a" * 4_000_000 + b'"'
    worst = 0.0
    for _ in range(3):
        prepared = world.rest("bao-chay").prepare("POST", "/incident-alert/v1/alerts", body)
        began = time.monotonic()
        told = ask(identity, of(prepared))
        assert told is not None and told.code == "message.invalid"
        worst = max(worst, time.monotonic() - began)
    return worst


@pytest.fixture
def judge(world: World, some_refused: dict[str, str], shown: None) -> Iterator[Judge]:
    """For tests whose every message must be refused."""
    made, began = Judge(world), time.monotonic()
    before = made.seen()
    yield made
    assert made.seen() == before, "something of a refused message reached a provider"
    found = made.log()
    assert {transfer: found[transfer] for transfer in made.told} == {
        transfer: [code] for transfer, (code, _) in made.told.items()
    }
    some_refused.update({transfer: code for transfer, (code, _) in list(made.told.items())[:1]})
    if time.monotonic() - began > 0.5 or len(some_refused) % 10 == 0:
        assert world.rest("y-te").call("GET", QUESTION).ok, "the door goes on"
