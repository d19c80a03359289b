"""`docker-compose.yml`, its profile `cluster` too: commands, settings, secrets and places are those of the program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.processes.supervisor import patience
from gateway.settings import ROLES, Settings
from tests.project.deploying import COMPOSE, PATHS, ROOT, image_environment, interpolated, settings_of, unknown_words

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MACHINES = [name for name, each in SERVICES.items() if each["image"] == "lgsp" and "profiles" in each]
SERVERS = [name for name, each in SERVICES.items() if each["image"].startswith("postgres:")]
CONF = (ROOT / "deploy/postgresql/postgresql.conf").read_text("utf-8")


def environment_of(name: str) -> dict[str, str]:
    return {key: interpolated(str(value), {}) for key, value in SERVICES[name]["environment"].items()}


def machine(name: str, place: Path) -> Settings:
    return settings_of(image_environment() | environment_of(name), place)


def test_it_fits_its_schema() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [str(check), "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is missing: it does not read the file"
)
def test_compose_itself_takes_it() -> None:
    command = [
        "docker-compose",
        "--file",
        str(ROOT / "docker-compose.yml"),
        "--profile",
        "cluster",
        "config",
        "--quiet",
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0 and not told.stderr, told.stderr


def test_to_start_the_edge_is_to_start_the_cluster_and_no_sandbox() -> None:
    started, todo = set[str](), ["edge"]
    while todo:
        started.add(name := todo.pop())
        todo += [each for each in SERVICES[name].get("depends_on", []) if each not in started]
    assert started == SERVICES.keys() - {"gateway"}


def test_without_a_profile_it_is_one_gateway_for_this_machine_alone(tmp_path: Path) -> None:
    assert [name for name, each in SERVICES.items() if "profiles" not in each] == ["gateway"]
    settings = machine("gateway", tmp_path)
    published = [f"127.0.0.1:{port}:{port}" for port in (settings.exchange_port, settings.desk_port)]
    assert SERVICES["gateway"]["ports"] == published


@pytest.mark.parametrize("name", ["gateway", *MACHINES])
def test_commands_and_settings_of_a_machine_are_the_programs(name: str, tmp_path: Path) -> None:
    service, settings = SERVICES[name], machine(name, tmp_path)
    assert unknown_words(service.get("command", ["up"])) == []
    assert int(service["stop_grace_period"].removesuffix("s")) > patience(settings)
    places = {mount.split(":")[1]: mount.split(":")[0] for mount in service["volumes"]}
    assert places[image_environment()["LGSP_DATA"]] == ("data" if name == "gateway" else name)
    if name in MACHINES:
        assert service["hostname"] == name and name.startswith(settings.roles.split()[0])
        assert service["command"] == ["up", "--join", "/run/invitations"] and "/run/invitations" in places
        assert settings.standby == "required" and (not settings.drops or settings.drops in places)


def test_every_role_is_there_and_the_edge_leads_to_the_doors_and_desks(tmp_path: Path) -> None:
    settings = {name: machine(name, tmp_path) for name in MACHINES}
    assert {role for each in settings.values() for role in each.roles.split()} == set(ROLES)
    edge = environment_of("edge")
    doors = [f"https://{name}:{each.edge_port}" for name, each in settings.items() if each.roles == "door"]
    desks = {name: each for name, each in settings.items() if each.has("desk")}
    assert edge["EDGE_GATEWAY"].split() == doors
    assert edge["DESK_GATEWAY"].split() == [f"https://{name}:{each.desk_port}" for name, each in desks.items()]
    address = SERVICES["edge"]["networks"]["exchange"]["ipv4_address"]
    told = {(each.desk_edge, each.desk_base, each.desk_tls) for each in desks.values()}
    assert told == {(address, edge["DESK_SITE"], "embedded")}
    for name in ("Caddyfile", "Caddyfile.desk"):
        text = (ROOT / "deploy" / name).read_text("utf-8")
        assert set(re.findall(r"{\$(\w+):", text)) - {"EDGE_BIND", "EDGE_GATEWAY_NAME"} <= edge.keys(), name
        assert set(re.findall(r"health_uri (\S+)", text)) <= PATHS


def test_secrets_come_by_files_that_are_made_and_all_services_are_contained() -> None:
    made = (ROOT / "deploy/secrets.sh").read_text("utf-8")
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert name in made or name in ("site.crt", "site.key", "anchors.pem")
    assert all((ROOT / each["file"]).is_file() for each in COMPOSE["configs"].values())
    for name, service in SERVICES.items():
        for path in re.findall(r"/run/secrets/([\w.]+)|credential:([\w.]+)", str(service.get("environment"))):
            assert set(filter(None, path)) <= set(service["secrets"]), name
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        assert {each["source"] for each in service.get("configs", [])} <= COMPOSE["configs"].keys()
        assert {mount.split(":")[0] for mount in service.get("volumes", [])} <= COMPOSE["volumes"].keys()
        assert set(service.get("depends_on", [])) <= SERVICES.keys()
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["gateway", *MACHINES])
def test_metrics_are_for_the_containers_own_networks_alone(name: str, tmp_path: Path) -> None:
    """A Prometheus in one of them reaches them; no host, and nobody through the edge."""
    settings = machine(name, tmp_path)
    assert settings.metrics_host == "0.0.0.0" and settings.metrics_port
    assert settings.metrics_port not in (settings.exchange_port, settings.edge_port, settings.desk_port)
    assert name == "gateway" or "exchange" in SERVICES[name]["networks"]
    published = [str(port).rsplit(":", 1) for service in SERVICES.values() for port in service.get("ports", [])]
    assert published and all(
        inside != str(settings.metrics_port) or outside.startswith("127.0.0.1:") for outside, inside in published
    )
    led = environment_of("edge")
    assert str(settings.metrics_port) not in led["EDGE_GATEWAY"] + led["DESK_GATEWAY"]


def test_the_servers_of_the_vaults_keys_have_settings_of_their_own() -> None:
    """What they are good for: `tests/edge/test_profile_databases.py`."""
    for name in SERVERS:
        targets = {each["target"] for each in SERVICES[name]["configs"]}
        config = environment_of(name).get("CONFIG", "postgresql.conf")
        assert config == ("keys.conf" if name.startswith("keys") else "postgresql.conf")
        assert {f"/etc/lgsp/{config}", "/etc/lgsp/postgresql.conf"} <= targets


def test_postgresql_waits_for_a_standby_and_takes_the_connections_of_all_machines(tmp_path: Path) -> None:
    """By the rule of docs/sizing.md."""
    names = re.search(r"^synchronous_standby_names = 'FIRST 1 \((.*)\)'", CONF, re.MULTILINE)
    assert names and names[1].split(", ") == SERVERS == [SERVICES[name]["hostname"] for name in SERVERS]
    (each,) = re.findall(r"\*\*(\d+) × \(doors \+ 1 keeper", (ROOT / "docs/sizing.md").read_text("utf-8"))
    most = 0
    for name in MACHINES:
        settings = machine(name, tmp_path)
        doors = settings.door_count if settings.has("door") else 0
        most += int(each) * (doors + 1 + bool(settings.has("desk") or settings.metrics_port) + settings.has("files"))
    allowed = re.search(r"^max_connections = (\d+)", CONF, re.MULTILINE)
    assert allowed and int(allowed[1]) >= most + 20, most
