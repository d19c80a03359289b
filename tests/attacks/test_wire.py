"""Attacks over the wire against the running instance: identities mixed, messages raced, messages repeated, text kept to
the byte."""

from __future__ import annotations

import unicodedata
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from examples.story import World
from examples.story.exchange import ALERTS, INDICATOR, question, read_feed
from examples.story.refusals import REQUESTS, VALUES
from gateway.sample_client.rest import Answer, RestClient
from gateway.sandbox.standins import messages

pytestmark = pytest.mark.server
ALERTS_PATH = "/incident-alert/v1/alerts"


def problem(answer: Answer) -> tuple[int, str]:
    assert answer.problem is not None, answer.body[:300]
    return answer.status, answer.problem["code"]


@pytest.mark.attack("a certificate of another agency with a valid token")
def test_a_token_is_good_for_its_own_certificate_only(world: World) -> None:
    stolen = world.rest("y-te").token()
    thief = world.rest("phan-anh")
    answer = thief.send(thief.prepare("GET", VALUES, token=stolen))
    assert problem(answer) == (401, "token.other-certificate")


@pytest.mark.attack("a certificate of another agency with a valid token")
def test_certificate_and_token_of_one_with_the_signature_of_another(world: World) -> None:
    victim, thief = world.rest("y-te"), world.rest("thuc-phan")
    prepared = thief.prepare("GET", VALUES, token=victim.token())
    answer = thief.send(prepared, tls=victim.identity)
    assert problem(answer) == (403, "channel.mismatch")


def test_an_envelope_signed_by_another_than_the_connection(world: World) -> None:
    signed = world.soap("dieu-hanh").prepare(INDICATOR, "getValue", question())
    answer = world.soap("dieu-hanh").send(signed, tls=world.identity("y-te"))
    assert answer.fault is not None and answer.fault.problem == "channel.mismatch"


@pytest.mark.attack("replay")
def test_the_same_bytes_on_many_connections_are_taken_once(world: World) -> None:
    client = world.rest("y-te")
    prepared = client.prepare("GET", VALUES)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.send(prepared), range(12)))
    counts = Counter(answer.status for answer in answers)
    assert counts[200] == 1 and counts[409] == 11, counts


def test_one_message_sent_by_many_at_once_appears_once(world: World) -> None:
    identifier, message_id = f"RACE-{uuid.uuid4()}", str(uuid.uuid4())
    message = messages.fire_alarm(identifier=identifier)
    clients = [RestClient(world.identity("bao-chay")) for _ in range(10)]
    for client in clients:
        client.token()
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda client: client.call("POST", ALERTS_PATH, message, message_id=message_id), clients)
        )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["transfer"] for answer in answers}) == 1
    events = world.wait("the alert in the feed", lambda: _events(world, identifier))
    assert len(events) == 1


def test_a_dispatch_sent_by_many_at_once_is_carried_out_once(world: World) -> None:
    report, message_id = messages.field_report(area="01273"), str(uuid.uuid4())
    clients = [RestClient(world.identity("phan-anh")) for _ in range(8)]
    for client in clients:
        client.token()
    before = world.seen("do-thi")["records"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda client: client.call("POST", REQUESTS, report, message_id=message_id), clients))
    assert {answer.status for answer in answers} <= {200, 409}
    waiting = [answer for answer in answers if answer.status == 409]
    assert all(
        problem(answer)[1] == "message.in-progress" and int(answer.headers["retry-after"]) > 0 for answer in waiting
    )
    assert sum(answer.status == 200 for answer in answers) >= 1
    assert world.seen("do-thi")["records"] == before + 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_vietnamese_text_reaches_the_feed_as_it_was_sent(form: Any, world: World) -> None:
    letters = unicodedata.normalize(form, "Ẳng ẵ ậ ẻ ễ ệ ỉ ĩ ị ỏ ỗ ộ ở ỡ ợ ủ ũ ụ ử ữ ự ỷ ỹ ỵ Đ đ – “trích” 𠀀")
    identifier = f"TEXT-{uuid.uuid4()}"
    message = messages.fire_alarm(identifier=identifier)
    message["chiTiet"][0]["noiDung"] = letters
    assert world.rest("bao-chay").call("POST", ALERTS_PATH, message).status == 200
    (event,) = world.wait("the alert in the feed", lambda: _events(world, identifier))
    assert event["data"]["info"][0]["description"] == letters


@pytest.mark.attack("replay")
def test_an_assertion_is_good_once(world: World) -> None:
    client = world.rest("y-te")
    request = client.token_request()
    assert client.exchange(request).status == 200
    assert client.exchange(request).status in (400, 401)


@pytest.mark.parametrize("seconds", [4, -20])
def test_a_clock_a_little_off_is_borne(seconds: int, world: World) -> None:
    assert world.rest("y-te").call("GET", VALUES, created=float(seconds)).status == 200


@pytest.mark.parametrize(("seconds", "code"), [(30, "signature.from-future"), (-90, "signature.expired")])
def test_a_clock_far_off_is_told_by_how_much(seconds: int, code: str, world: World) -> None:
    answer = world.rest("y-te").call("GET", VALUES, created=float(seconds))
    assert problem(answer)[1] == code


@pytest.mark.parametrize(
    "query",
    [
        "indicator=KT-05&indicator=KT-01&area=04&period=2025",
        "indicator=KT-05&area=04&period=2025&extra=1",
        "indicator=%zz&area=04&period=2025",
        "",
    ],
)
def test_twisted_queries_are_refused_with_a_reason(query: str, world: World) -> None:
    answer = world.rest("y-te").call("GET", f"/indicator/v1/values?{query}")
    assert answer.status in (400, 422) and problem(answer)[1].startswith("message.")


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", 'a"b'])
def test_message_ids_of_another_form_are_refused(key: str, world: World) -> None:
    client = world.rest("phan-anh")
    prepared = client.prepare(
        "POST", REQUESTS, messages.field_report(area="01273"), message_id="", headers={"idempotency-key": f'"{key}"'}
    )
    answer = client.send(prepared)
    assert problem(answer)[1] == "request.no-message-id" and answer.verified
    assert 'Idempotency-Key: "…" (1–128, ASCII)' in answer.json()["detail"], "which form it has"


def test_a_transfer_is_shown_to_its_parties_only(world: World) -> None:
    answer = world.rest("y-te").call("GET", VALUES)
    transfer = answer.headers["lgsp-transfer"]
    assert world.rest("y-te").call("GET", f"/transfers/{transfer}").status == 200
    assert world.rest("phan-anh").call("GET", f"/transfers/{transfer}").status == 404


def test_a_feed_is_read_by_those_who_may_only(world: World) -> None:
    answer = world.rest("y-te").call("GET", f"/feeds/{ALERTS}")
    assert answer.status == 403
    forged = world.rest("dieu-hanh").call("GET", f"/feeds/{ALERTS}?after=AAAA")
    assert problem(forged)[1] == "feed.bad-cursor"


def _events(world: World, identifier: str) -> list[dict[str, Any]]:
    return [event for event in read_feed(world, ALERTS) if event["data"].get("identifier") == identifier]
