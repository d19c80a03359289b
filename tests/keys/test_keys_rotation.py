"""Keys are replaced while calls go on: not one call is lost, and every answer is proved by a key that `GET /keys`
shows."""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import gateway.client
from bench.demo import demo_settings, running, world_of
from examples.story.exchange import ALERTS
from examples.story.world import World
from gateway.cli.run import alone
from gateway.client import Client
from gateway.keys.keyring import NAMES
from gateway.processes.supervisor import PID
from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.transport import Transport
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.attacks.conftest import QUESTION
from tests.callers import Callers
from tests.faults.load import until
from tests.stored import rows

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("rotation")
    (folder / "secret").write_bytes(
        secrets.token_bytes(32)
    )  # so that all of it is shown with keys that are protected at rest
    made = replace(demo_settings(folder / "data"), doors=1, secret_file=str(folder / "secret"), provider_seconds=25.0)
    with running(made):
        yield made


@pytest.fixture(scope="module")
def world(settings: Settings) -> World:
    made: World = world_of(settings)
    return made


class Calls(Callers):
    """Systems that call without pause, each kind in a thread: by REST and by SOAP, taken in here and passed on to a
    provider."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.held: dict[str, int] = {}
        self.lost: list[str] = []
        self.clients: list[RestClient | SoapClient] = []
        rest, asks, soap, dossiers = (
            Identity.load(settings.identities / name) for name in ("bao-chay", "y-te", "canh-bao", "mot-cua")
        )
        kinds = {
            "alert by REST": self._rest(
                rest, lambda client: client.call("POST", "/incident-alert/v1/alerts", messages.fire_alarm())
            ),
            "question to a provider": self._rest(asks, lambda client: client.call("GET", QUESTION)),
            "alert by SOAP": self._soap(soap),
            "dossier, encrypted for the first key": self._rest(dossiers, _dossier),
        }
        self.threads = [threading.Thread(target=self._run, args=item, daemon=True) for item in kinds.items()]

    def _rest(self, identity: Identity, call: Callable[[RestClient], Any]) -> Callable[[], Any]:
        client = RestClient(identity)
        self.clients.append(client)
        return lambda: call(client)

    def _soap(self, identity: Identity) -> Callable[[], Any]:
        client = SoapClient(identity)
        self.clients.append(client)
        return lambda: client.call(ALERTS, "submitAlert", messages.cap_alert())

    def _run(self, name: str, call: Callable[[], Any]) -> None:
        while not self.stop.is_set():
            try:
                answer = call()
            except ClientError as trouble:
                self.lost.append(f"{name}: {trouble}")
                continue
            if answer.ok and answer.verified:
                self.held[name] = self.held.get(name, 0) + 1
                time.sleep(0.05)  # without pause, but not at the cost of the processes that start
            else:
                self.lost.append(f"{name}: {answer}")


def _dossier(client: RestClient) -> Any:
    """By a client that knows only the encryption key that it was handed at the beginning."""
    event = str(uuid.uuid4())
    status = messages.dossier_status(event=event)
    return client.call("POST", "/dossier-status/v1/statuses", status, message_id=event, encrypt_it=True)


def published(world: World) -> dict[str, list[dict[str, Any]]]:
    """As a stranger reads it: no certificate, no signature."""
    identity = world.identity("y-te")
    answer = Transport(identity.gateway, identity.client_context(with_certificate=False), 10.0).send(
        "GET", "/keys", {}, b""
    )
    assert answer.status == 200 and "max-age" in answer.headers["cache-control"]
    found: dict[str, list[dict[str, Any]]] = json.loads(answer.body)
    return found


def current(world: World, use: str) -> set[str]:
    return {each["id"] for each in published(world)[use] if each["current"]}


def test_every_key_is_replaced_and_not_one_call_is_lost(settings: Settings, world: World) -> None:
    before = {use: current(world, use) for use in ("sign", "encrypt", "tls")}
    with Calls(settings) as callers:
        until("each kind of call held", lambda: len(callers.held) == len(callers.clients))
        done = world.lgsp("keys", "rotate", *NAMES, "--data", str(settings.data))
        assert done["ok"] and done["reloaded"], done
        count = dict(callers.held)
        until("each kind of call held again", lambda: all(callers.held[name] > count[name] for name in count))
    assert not callers.lost, callers.lost[:5]

    after = published(world)
    for use, ids in before.items():
        now = {each["id"] for each in after[use] if each["current"]}
        assert len(now) == len(ids) and not now & ids, "each key has a successor"
        assert ids <= {each["id"] for each in after[use]}, "an old certificate stays until it expires"
    (key_id,) = current(world, "sign")
    for client in callers.clients:
        assert client.identity.keys.by_id(key_id), "the new key was learnt by the old one's authority"
    peer = ssl.get_server_certificate(("127.0.0.1", settings.exchange_port))
    served = x509.load_pem_x509_certificate(peer.encode())
    assert served in [
        x509.load_pem_x509_certificate(each["certificate"].encode()) for each in after["tls"] if each["current"]
    ]
    told = world.lgsp("keys", "show", "--data", str(settings.data))["keys"]
    assert [each["key"] for each in told if each["name"] == "sign"] == [True, False], "the old private key is gone"


def test_each_rotation_is_in_the_log(settings: Settings, world: World) -> None:
    entries = [json.loads(entry) for (entry,) in _entries(settings)]
    assert entries[0]["facts"]["rotated"] == [f"gateway.{word}-2" for word, _ in NAMES.values()], entries


def _entries(settings: Settings) -> list[Any]:
    """By one statement: an entry moves from one table to the other."""
    one = "select {} as place, entry from {} where phase = 'keys'"
    both = f"{one.format('idx', 'log_entry')} union all {one.format('1e18', 'log_pending')} order by place"
    return [(entry,) for _, entry in rows(settings, both)]


def test_a_key_in_wrong_hands_is_believed_no_more(settings: Settings, world: World) -> None:
    client = RestClient(world.identity("y-te"))
    token = client.token()
    (old,) = current(world, "sign")
    assert client.call("GET", QUESTION, token=token).ok
    assert world.lgsp("keys", "rotate", "sign", "--withdraw", "--data", str(settings.data))["ok"]
    assert old not in {each["id"] for each in published(world)["sign"]}
    refused = client.call("GET", QUESTION, token=token)
    assert refused.problem is not None and refused.problem["code"] == "token.unknown-key"
    assert client.call("GET", QUESTION, token=RestClient(world.identity("y-te")).token()).ok


def test_the_client_kit_goes_on_from_the_keys_that_it_was_given(
    settings: Settings, world: World, tmp_path: Path
) -> None:
    """Its folder pins the first keys; the gateway has replaced both, and withdraws one more while the kit holds a token
    signed by it."""
    with (
        Client(gateway.client.Identity.load(settings.identities / "y-te"), state=tmp_path / "y-te") as asks,
        Client(gateway.client.Identity.load(settings.identities / "mot-cua"), state=tmp_path / "mot-cua") as tells,
    ):
        assert asks.identity.gateway_key.key_id not in current(world, "sign")
        assert asks.rest("GET", QUESTION).proven
        assert world.lgsp("keys", "rotate", "sign", "--withdraw", "--data", str(settings.data))["ok"]
        assert asks.rest("GET", QUESTION).proven
        status = messages.dossier_status(event=str(uuid.uuid4()))
        assert tells.rest("POST", "/dossier-status/v1/statuses", status).proven


def test_a_new_process_that_does_not_come_up_leaves_the_old_ones(settings: Settings, world: World) -> None:
    """Settings that cannot be read are found out before anybody is turned away."""
    file = settings.data / "settings.yaml"
    kept = file.read_text("utf-8")
    file.write_text(kept + "\nno_such_setting: 1\n", "utf-8")
    try:
        os.kill(int((settings.run / "supervisor.pid").read_text()), signal.SIGHUP)
        told = until(
            "the reload is given up", lambda: json.loads((settings.run / "reload.json").read_text("utf-8"))["trouble"]
        )
        assert "did not come up" in told
        assert RestClient(world.identity("y-te")).call("GET", QUESTION).ok
    finally:
        file.write_text(kept, "utf-8")


def test_where_nothing_runs_there_is_nothing_to_replace(tmp_path: Path, world: World) -> None:
    (tmp_path / "settings.yaml").write_text("")
    (tmp_path / "keys").mkdir()
    told = world.lgsp("reload", "--data", str(tmp_path))
    assert told["error"]["code"] == "not-running"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / PID).write_text(f"{os.getpid()}\n", "ascii")  # what one that was killed left there: ours by now
    with alone(Settings(tmp_path)):  # one that starts
        told = world.lgsp("reload", "--data", str(tmp_path))
        assert told["error"]["code"] == "not-running" and "still starting" in told["error"]["what"]
