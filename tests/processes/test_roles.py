"""One machine of several does what its setting `roles` says: its processes, its listeners, and who may lead."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bench.ports import free_ports
from gateway.doctor.store import roles
from gateway.journal import processes
from gateway.keeper.leader import Keeper
from gateway.processes.sockets import check_ports, open_listeners
from gateway.processes.supervised import gateway_children
from gateway.settings import BadSetting, Settings, load
from tests.journal.databases import database  # noqa: F401  fixture

ALL = ["keeper", "files", "door-0", "door-1", "desk"]


@pytest.mark.parametrize(
    "given, children, listeners",
    [
        ({}, ALL, {"exchange", "desk"}),
        ({"metrics_port": 1, "edge_port": 1}, ALL, {"exchange", "edge", "desk", "metrics"}),
        ({"roles": "door"}, ["keeper", "door-0", "door-1"], {"exchange"}),
        ({"roles": "door", "metrics_port": 1}, ["keeper", "door-0", "door-1", "desk"], {"exchange", "metrics"}),
        ({"roles": "keeper"}, ["keeper"], set[str]()),
        ({"roles": "keeper files", "edge_port": 1}, ["keeper", "files"], set[str]()),
        ({"roles": "desk", "edge_socket": "{tmp}/edge.sock"}, ["keeper", "desk"], {"desk"}),
    ],
)
def test_a_machine_runs_and_opens_what_its_roles_say(
    given: dict[str, str | int], children: list[str], listeners: set[str], tmp_path: Path
) -> None:
    ports = dict(zip(("exchange_port", "desk_port", "metrics_port", "edge_port"), free_ports(4), strict=True))
    values = {
        name: str(value).format(tmp=tmp_path) for name, value in given.items() if name in ("roles", "edge_socket")
    }
    used = {name: port for name, port in ports.items() if name in ("exchange_port", "desk_port") or name in given}
    settings = replace(Settings(tmp_path, doors=2), **used, **values, edge_proxies="ab" * 32)  # type: ignore[arg-type]
    check_ports(settings)
    opened = open_listeners(settings)
    try:
        assert set(opened) == listeners
        made = gateway_children(settings, {name: each.fileno() for name, each in opened.items()})
        assert [each.name for each in made] == children
        desk = next((each.arguments for each in made if each.name == "desk"), [])
        shown = {word.partition("=")[0] for word in desk if "=" in word}
        assert shown == (listeners & {"desk", "metrics"} if desk else set())
    finally:
        for each in opened.values():
            each.close()


def test_a_machine_without_the_desk_may_name_any_address_for_it(tmp_path: Path) -> None:
    """What would not start as a desk is no matter where none runs."""
    bare = Settings(tmp_path, kind="production", desk_host="0.0.0.0", roles="keeper")
    assert open_listeners(bare) == {}


@pytest.mark.parametrize("text", ["", "  ", "doors", "door,desk", "door keeper leader"])
def test_roles_that_there_are_not_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="door, desk, files, keeper"):
        load(tmp_path, {"LGSP_ROLES": text})


def test_a_keeper_without_the_role_beats_and_never_leads(database: Engine) -> None:  # noqa: F811
    processes.register(database, "standing-by", "follower")
    followed: list[int] = []
    keeper = Keeper(
        database,
        "standing-by",
        None,  # type: ignore[arg-type] # it sequences nothing
        follow=lambda: followed.append(1),
        leads=False,
    )
    for _ in range(3):
        keeper.tick()
    assert keeper.lease is None and not keeper.fenced and len(followed) == 3
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE process SET state = 'dead'")
    keeper.tick()
    assert keeper.fenced


def test_the_doctor_names_what_no_machine_does(database: Engine, tmp_path: Path) -> None:  # noqa: F811
    def told(settings: Settings) -> list[str]:
        with database.connect() as connection:
            return [str(each.facts["roles"]) for each in roles(settings, connection)]

    one = Settings(tmp_path, roles="door desk")
    if database.dialect.name == "sqlite":
        assert told(Settings(tmp_path)) == [] and told(one) == ["files, keeper"]
        return
    assert told(one) == []  # nothing runs: another finding says so
    processes.register(database, "a", "door")
    processes.register(database, "b", "follower")
    assert told(one) == ["files, keeper"]
    processes.register(database, "c", "keeper")
    processes.register(database, "d", "files")
    assert told(one) == []
    with database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE process SET heard = {time.time() - 60} WHERE id = 'd'")
    assert told(one) == ["files"]
