"""Two implementations, written apart, speak with each other: the client kit calls the small door of these tests, which
is made of `examples/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.client import Client, Identity, NotProven, RefusedTheirs
from gateway.sandbox.standins.messages import cap_alert
from security.http_signatures import content_digest
from tests.sample_client.small_door import LEAF, Door

Make = Callable[..., Client]


@pytest.fixture
def kit(door: Door, tmp_path: Path) -> Iterator[Make]:
    made: list[Client] = []

    def make(system: str) -> Client:
        folder = door.province.identity(system, address=door.url).folder
        for key in folder.glob("*.key"):
            key.chmod(0o600)
        made.append(Client(Identity.load(folder), state=tmp_path / system, tries=1))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("system", ["phan-anh", "bao-chay"])  # P-256, Ed25519
def test_a_call_by_rest(kit: Make, door: Door, system: str) -> None:
    client = kit(system)
    answer = client.rest("POST", "/field-report/v1/requests", {"description": "Ổ gà"}, "m-1", language="en")
    assert answer.proven and answer.json() == {
        "path": "/field-report/v1/requests",
        "body": '{"description":"Ổ gà"}',
        "language": "en",
    }
    assert (
        answer.receipt is not None
        and answer.receipt.leaves == {"intent": LEAF, "outcome": LEAF}
        and answer.transfer == "t-1"
    )
    assert client.witness.kept is not None and client.witness.kept.size == 1
    heard = door.requests[-1].headers
    assert heard["idempotency-key"] == '"m-1"' and heard["content-digest"] == content_digest(
        '{"description":"Ổ gà"}'.encode()
    )
    assert client.rest("GET", "/indicator/v1/values?area=04&x=ộ y").json()["path"].endswith("x=%E1%BB%99%20y")
    assert "idempotency-key" not in door.requests[-1].headers and door.tokens == 1


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("system", ["canh-bao", "may-cu"])  # P-256, RSA
def test_a_call_by_soap(kit: Make, system: str, version: str) -> None:
    answer = kit(system).soap("incident-alert/v1", cap_alert(), version=version)
    assert answer.proven and answer.xml().tag == "{urn:oasis:names:tc:emergency:cap:1.2}alert"  # the door's echo
    assert answer.receipt is not None and answer.receipt.leaves == {"intent": LEAF, "outcome": LEAF}


def test_an_unsigned_fault_is_told_as_one(kit: Make) -> None:
    with pytest.raises(RefusedTheirs) as unknown:
        kit("phan-anh").soap("incident-alert/v1", cap_alert())  # whose key this door does not know
    assert (unknown.value.code, unknown.value.proven, unknown.value.transfer) == ("signature.x", False, "t-9")
    assert unknown.value.findings[0].here == "a" and unknown.value.next("vi") == "Ký lại"


@pytest.mark.parametrize("broken", ["unsigned", "body", "receipt", "binding"])
def test_what_breaks_the_profile_is_not_proven(kit: Make, door: Door, broken: str) -> None:
    client = kit("canh-bao")
    client.rest("GET", "/first")
    door.break_it = broken
    with pytest.raises(NotProven):
        client.rest("GET", "/second")
    if broken != "receipt":  # the door breaks that one by REST only
        with pytest.raises(NotProven):
            client.soap("incident-alert/v1", "<a>Kim Đông</a>".encode())
