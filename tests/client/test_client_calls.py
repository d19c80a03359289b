"""The client kit against a running gateway: every kind of call, its proofs, its refusals by who can mend them; and the
same answers as the clients of `examples/`, which share no code with it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from contracts.base.errors import Branch
from examples.story import World
from gateway.client import (
    AsyncClient,
    Client,
    Identity,
    NoConnection,
    Refused,
    RefusedOurs,
    RefusedPolicy,
    RefusedTheirs,
)
from gateway.client.errors import BadUsage
from gateway.client.transfers import Wanted
from gateway.sandbox.standins import messages
from tests.faults.load import until

pytestmark = pytest.mark.server
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")


class Clients:
    """A client for each system, each with a folder of its own for checkpoints."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.made: dict[str, Client] = {}

    def __call__(self, system: str) -> Client:
        if system not in self.made:
            self.made[system] = Client(Identity.load(self.world.identities / system), state=self.folder / system)
        return self.made[system]


@pytest.fixture
def client(world: World, tmp_path: Path) -> Iterator[Clients]:
    made = Clients(world, tmp_path)
    yield made
    for each in made.made.values():
        each.close()


def test_a_question_by_rest_is_answered_exactly_and_its_receipt_becomes_a_proof(client: Clients, world: World) -> None:
    kit = client("y-te")
    answer = kit.rest("GET", QUESTION)
    assert answer.proven and answer.json()["value"] == Decimal("612.450")
    assert answer.receipt is not None and set(answer.receipt.leaves) == {"intent", "outcome"}
    other = world.rest("y-te").call("GET", QUESTION)
    assert answer.body == other.body  # the witness of examples/ sees the same
    proof = kit.prove(answer.receipt)
    assert {entry.phase for entry in proof.entries} == {"intent", "outcome"}
    assert {entry.leaf for entry in proof.entries} == set(answer.receipt.leaves.values())
    assert all(entry.text.startswith("c2sp.org/tlog-proof@v1\n") for entry in proof.entries)
    assert kit.witness.kept is not None and kit.witness.kept.size >= proof.checkpoint.size
    assert kit.transfer(answer.receipt.transfer)["state"] == "answered"


def test_a_message_repeated_under_its_id_is_one(client: Clients, world: World) -> None:
    report, known_as = messages.field_report(area="01273"), str(uuid.uuid4())
    before = world.seen("do-thi")["records"]
    first = client("phan-anh").rest("POST", "/field-report/v1/requests", report, known_as)
    again = client("phan-anh").rest("POST", "/field-report/v1/requests", report, known_as)
    assert (first.body, first.message_id, first.transfer) == (again.body, known_as, again.transfer)
    assert world.seen("do-thi")["records"] == before + 1


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_soap_in_the_systems_own_format_and_in_the_canonical_wrapper(
    client: Clients, world: World, version: str
) -> None:
    alert = client("canh-bao").soap(
        "incident-alert/v1", messages.cap_alert(identifier=f"NCHMF-{uuid.uuid4()}"), version=version
    )
    assert (
        alert.proven
        and alert.receipt is not None
        and alert.xml().tag == "{urn:lgsp:contract:incident-alert:v1}submitAlertResponse"
    )
    body = messages.indicator_body(indicator="KT-05", area="04", period="2026-Q3")
    value = client("dieu-hanh").soap("indicator/v1", body, version=version)
    assert value.xml().findtext("{*}value") == "612.450"
    other = world.soap("dieu-hanh").call("indicator/v1", "getValue", body)
    assert other.body is not None and other.body.findtext("{*}value") == "612.450"


def test_a_system_lists_what_it_sent_and_received(client: Clients) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    sent = client("phan-anh").rest("POST", "/field-report/v1/requests", messages.field_report(area="01273")).transfer
    with pytest.raises(Refused) as no:
        client("phan-anh").rest("POST", "/field-report/v1/requests", {"nothing": 1})
    for system, role in (("phan-anh", "sender"), ("do-thi", "receiver")):
        wanted = Wanted(role=role, contract="field-report/v1", since=began)
        found = {each["transfer"]: each for each in client(system).transfers(wanted, limit=2)}
        assert found[sent]["role"] == role and found[sent]["state"] == "answered"
    refused = no.value.transfer
    assert sent is not None
    until(
        "the refusal in the list, some seconds after its answer",
        lambda: (
            refused in [each["transfer"] for each in client("phan-anh").transfers(Wanted(state="refused", since=began))]
        ),
    )
    with pytest.raises(ValueError, match="zone"):
        next(client("y-te").transfers(Wanted(since=datetime(2026, 1, 1))))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_soap_call_that_is_answered_later(client: Clients, version: str) -> None:
    kit, body = client("dieu-hanh"), messages.indicator_body(indicator="KT-05", area="04", period="2026-Q3")
    known_as = f"urn:uuid:{uuid.uuid4()}"
    taken = kit.soap("indicator/v1", body, known_as, version=version, respond_async=True)
    assert (taken.status, taken.headers["preference-applied"]) == (202, "respond-async")
    assert taken.transfer is not None and taken.xml().findtext("{*}Transfer") == taken.transfer
    assert kit.answer(taken.transfer, seconds=60).json()["value"] == Decimal("612.450")
    again = kit.soap("indicator/v1", body, known_as, version=version)
    assert again.status == 200 and again.transfer == taken.transfer and again.xml().findtext("{*}value") == "612.450"


@pytest.mark.parametrize("pattern", ["query", "dispatch"])
def test_a_call_that_is_answered_later(client: Clients, pattern: str) -> None:
    """A receipt at once; the answer for its sender alone, as the call itself would have given it."""
    if pattern == "query":
        kit, call = client("y-te"), ("GET", QUESTION)
        taken, now = kit.rest(*call, respond_async=True), kit.rest(*call).json()
    else:
        kit, known_as = client("phan-anh"), str(uuid.uuid4())
        message = ("POST", "/field-report/v1/requests", messages.field_report(area="01273"), known_as)
        taken = kit.rest(*message, respond_async=True)
        now = None
    assert (taken.status, taken.headers["preference-applied"]) == (202, "respond-async")
    transfer = taken.transfer
    assert transfer is not None and taken.headers["location"] == f"/transfers/{transfer}"
    assert taken.receipt is not None and set(taken.receipt.leaves) == {"intent"}
    answer = kit.answer(transfer, seconds=60)
    assert answer.status == 200 and answer.proven and answer.receipt is not None
    assert now is None or answer.json() == now
    assert kit.transfer(transfer)["state"] == "answered"
    if now is None:
        repeated = kit.rest(*message, respond_async=True)
        assert (repeated.status, repeated.transfer, repeated.body) == (200, transfer, answer.body)
    for other in ("kinh-te", "do-thi", "dieu-hanh"):
        with pytest.raises(Refused) as no:
            client(other).answer(transfer)
        assert no.value.code == "transfer.unknown"


def test_the_feed_page_by_page(client: Clients) -> None:
    sent = [f"NCHMF-{uuid.uuid4()}" for _ in range(3)]
    start = client("dieu-hanh").feed("incident-alert/v1", limit=1000).next
    for identifier in sent:
        client("canh-bao").soap("incident-alert/v1", messages.cap_alert(identifier=identifier))
    client("canh-bao").prove(
        client("canh-bao").soap("incident-alert/v1", messages.cap_alert()).receipt or ""
    )  # sequenced by now
    first = client("dieu-hanh").feed("incident-alert/v1", start, limit=1)
    assert len(first.events) == 1 and first.more
    pages = list(client("dieu-hanh").pages("incident-alert/v1", start, limit=2))
    assert all(page.more for page in pages[:-1]) and not pages[-1].more
    found = [event["data"]["identifier"] for page in pages for event in page.events]
    assert [each for each in found if each in sent] == sent


def test_who_waits_is_given_the_alert_that_comes(client: Clients) -> None:
    centre, began = client("dieu-hanh"), datetime.now(UTC)
    (feed,) = [each for each in centre.feeds() if each["contract"] == "incident-alert/v1"]
    assert "H14.2" in feed["sources"]
    pages = centre.pages("incident-alert/v1", feed["head"], wait=20)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(next, pages)
        identifier = f"NCHMF-{uuid.uuid4()}"
        client("canh-bao").soap("incident-alert/v1", messages.cap_alert(identifier=identifier))
        page = waiting.result(60)
        while identifier not in [event["data"]["identifier"] for event in page.events]:
            page = next(pages)
    later = centre.feed("incident-alert/v1", since=began - timedelta(seconds=1), limit=1000)
    assert identifier in [event["data"]["identifier"] for event in later.events]
    standing = list(centre.state("incident-alert/v1", limit=500))
    assert identifier in [event["data"]["identifier"] for page in standing for event in page.events]
    assert centre.feed("incident-alert/v1", standing[0].goes_on).next and not standing[-1].more
    past = centre.feed("incident-alert/v1", until="2001-01-01T00:00:00Z")
    assert past.events == () and past.complete and not later.complete
    with pytest.raises(ValueError, match="zone"):
        centre.feed("incident-alert/v1", since=datetime(2026, 1, 1))


def test_refusals_say_who_can_mend_them_in_both_languages(client: Clients) -> None:
    with pytest.raises(RefusedTheirs) as wrong:
        client("y-te").rest("GET", "/indicator/v1/values?indicator=KT-05&area=04&period=never")
    assert (wrong.value.code, wrong.value.branch, wrong.value.proven) == ("message.invalid", Branch.THEIRS, True)
    assert wrong.value.findings[0].here == "period" and wrong.value.transfer
    with pytest.raises(RefusedTheirs) as fault:
        client("canh-bao").soap("incident-alert/v1", messages.cap_alert().replace(b"Severe<", b"Severo<"))
    assert (
        fault.value.code == "message.invalid"
        and fault.value.findings[0].here.endswith("cap:severity")
        and fault.value.proven
    )
    with pytest.raises(RefusedPolicy) as denied:
        client("thuc-phan").rest("GET", QUESTION)
    assert denied.value.code == "access.no-grant" and denied.value.proven
    with pytest.raises(RefusedPolicy) as denied_by_soap:
        client("thuc-phan").soap(
            "indicator/v1", messages.indicator_body(indicator="KT-05", area="04", period="2026-Q3")
        )
    assert denied_by_soap.value.code == "access.no-grant"
    for said in (wrong.value, fault.value, denied.value, denied_by_soap.value):
        assert said.what("vi") and said.what("en") and said.what("vi") != said.what("en") and said.next("vi")
    with pytest.raises(RefusedPolicy) as stranger:
        client("chua-dang-ky").rest("GET", QUESTION)
    assert stranger.value.code == "channel.unknown-system" and not stranger.value.proven


def test_what_is_the_providers_is_ours_and_what_is_queued_is_no_error(client: Clients, world: World) -> None:
    world.fault("kinh-te", "wrong-status")
    with pytest.raises(RefusedOurs) as down:
        client("y-te").rest("GET", QUESTION)
    assert down.value.code == "provider.fault" and down.value.proven
    queued = client("phan-anh").rest("POST", "/field-report/v1/requests", messages.field_report(area="01392"))
    assert queued.queued and queued.proven and queued.receipt is not None
    assert client("phan-anh").transfer(queued.receipt.transfer)["state"] in ("queued", "forwarding")  # a try more


def test_what_cannot_be_sent_is_told_before_anything_leaves(client: Clients) -> None:
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: client("y-te").rest("GET", "indicator/v1/values"),
        lambda: client("y-te").rest("POST", "/x", {"a": 0.1}),
        lambda: client("y-te").rest("GET", "/feeds/incident-alert/v1/export?form=csv"),
        lambda: client("y-te").rest("GET", "/feeds/incident-alert/v1?form=events"),
        lambda: client("y-te").rest("POST", "/x", {}, message_id="số 1"),
        lambda: client("y-te").soap("indicator/v1", b"<a>"),
        lambda: client("y-te").soap("indicator/v1", b"<a/>", version="2"),
    )
    for wrong in wrongs:
        with pytest.raises(BadUsage) as told:
            wrong()
        assert "exact form" not in told.value.what("vi")
    assert client("y-te").witness.kept is None


async def test_many_calls_at_once_share_one_token(world: World, tmp_path: Path) -> None:
    async with AsyncClient(Identity.load(world.identities / "y-te"), state=tmp_path) as kit:
        answers = await asyncio.gather(*(kit.rest("GET", QUESTION) for _ in range(12)))
        assert len({answer.transfer for answer in answers}) == 12 and all(answer.proven for answer in answers)
        token = await kit.token()
        assert token == await kit.token()
        assert kit.witness.kept is not None and not kit.witness.pending


def test_no_connection_says_whether_anything_was_sent(world: World, tmp_path: Path) -> None:
    nowhere = replace(Identity.load(world.identities / "y-te"), gateway="https://localhost:1")
    with Client(nowhere, state=tmp_path, tries=1) as kit, pytest.raises(NoConnection) as none:
        kit.rest("GET", QUESTION)
    assert not none.value.sent and none.value.code == "client.no-connection" and none.value.next("vi")
    assert not isinstance(none.value, Refused)
