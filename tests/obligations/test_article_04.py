"""Article 4: data are open and exact, secure, without overlap, and somebody answers for them."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from examples.story import evidence, exchange, oldsystems, refusals
from examples.story.exchange import ALERTS
from examples.story.world import World
from gateway.cases import reading
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.cases.making import BUILD, DAY, HEALTH, office
from tests.obligations.calls import ALERT, accepted, case, entries, event_of, published, steps_of
from tests.obligations.persons import person

pytestmark = pytest.mark.server


@pytest.mark.obligation("4.1")
def test_a_value_of_the_feed_leads_back_to_the_bytes_that_were_sent(world: World, tmp_path: Path) -> None:
    """Article 4.1: an event names sender, time, format and contract; the log has the digest of the raw message."""
    alert = messages.fire_alarm(identifier=f"BC-{uuid.uuid4()}")
    client = world.rest("bao-chay")
    sent = client.prepare("POST", ALERT, alert)
    event = event_of(world, accepted(client.send(sent)))
    intent = entries(world, event["id"])["intent"]
    assert (intent["caller"]["agency"], intent["caller"]["system"]) == (event["lgspagency"], "bao-chay")
    assert intent["bundle"] == event["lgspbundle"] == published(world, f"/contracts/{ALERTS}")["digest"]
    assert (intent["at"], event["lgspformat"]) == (event["time"], "bao-chay-json")
    package = tmp_path / "package"
    words = ("--reason", "Đối chiếu bản tin gốc", "--data", str(world.data))
    assert world.lgsp("audit", "package", event["id"], str(package), *words)["ok"]
    salt = bytes.fromhex((package / "messages" / "salt").read_text().strip())
    assert sha256(salt + sent.body).hexdigest() == intent["in"]["sha256"]
    assert (package / "messages" / "request.http").read_bytes().endswith(sent.body)
    assert event["data"]["info"][0]["headline"] == alert["chiTiet"][0]["tieuDe"]


@pytest.mark.obligation("4.2")
@pytest.mark.parametrize("attempt", [refusals.tampered, refusals.replayed, refusals.no_certificate, refusals.no_grant])
def test_a_message_that_is_altered_repeated_or_not_permitted_is_refused(world: World, attempt: Any) -> None:
    """Article 4.2: a message that is altered, replayed, unauthenticated or without a grant is refused and logged."""
    before = set(world.refused.values())
    assert attempt(world)
    told = sorted(set(world.refused.values()) - before)
    assert told and {"refusal"} <= {kind for each in told for kind in entries(world, each)}


@pytest.mark.obligation("4.2")
def test_the_disk_holds_no_message_in_clear(world: World) -> None:
    """Article 4.2: a text that went through the gateway stands in no file of the instance."""
    secret = f"bí mật {uuid.uuid4()}"
    alert = messages.fire_alarm()
    alert["chiTiet"][0]["noiDung"] = secret
    event = event_of(world, accepted(world.rest("bao-chay").call("POST", ALERT, alert)))
    assert event["data"]["info"][0]["description"] == secret
    files = [path for path in world.data.rglob("*") if path.is_file()]
    assert len(files) > 10 and [path for path in files if secret.encode() in content(path)] == []


def content(path: Path) -> bytes:
    with suppress(FileNotFoundError):  # the keeper's next checkpoint has got its name meanwhile
        return path.read_bytes()
    return b""


@pytest.mark.obligation("4.4")
def test_a_second_source_of_the_same_data_is_refused(world: World, tmp_path: Path) -> None:
    """Article 4.4: a registry document that names two systems as the source of one indicator changes nothing."""
    data = ("--data", str(world.data))
    document = world.lgsp("registry", "show", "--document", *data)
    registry = document["document"] if isinstance(document["document"], dict) else yaml.safe_load(document["document"])
    for system, codes in (("so-lieu", ["KT-*"]), ("kinh-te", ["KT-11"])):
        (declared,) = (each for each in registry["systems"] if each["id"] == system)
        when = {"values[].indicator": codes}
        declared["sources"] = [{"contract": "indicator/v1", "operation": "submitValues", "when": when}]
    file = tmp_path / "two-sources.yaml"
    file.write_text(yaml.safe_dump(registry, allow_unicode=True), "utf-8")
    answer = world.lgsp("registry", "apply", str(file), *data)
    assert not answer["ok"] and answer["error"]["code"] == "source.taken"
    assert "so-lieu" in json.dumps(answer["error"]) and "kinh-te" in json.dumps(answer["error"])
    assert world.lgsp("registry", "show", "--document", *data) == document


@pytest.mark.obligation("4.4")
def test_a_message_that_is_sent_again_is_one_record(world: World) -> None:
    """Article 4.4: a repeat gets the first answer and makes no second event; other content under its id is refused."""
    exchange.rest_alert(world)
    world.wait(
        "the alert in the feed", lambda: event_of(world, json.loads(world.remembered["rest-answer"])["transfer"])
    )
    exchange.repeat(world)


@pytest.mark.obligation("4.5")
def test_whoever_supplied_data_is_proved_by_log_and_evidence(world: World) -> None:
    """Article 4.5: an independent program checks the sender's signature, and refuses evidence that was altered."""
    exchange.dispatch(world)
    evidence.receipts(world)
    evidence.independent(world)


@pytest.mark.obligation("4.5")
def test_a_correction_names_what_it_corrects(world: World) -> None:
    """Article 4.5: the supplier corrects its alert by an update; the feed shows both, and which one replaces which."""
    client = world.rest("quan-trac")
    first = oldsystems.alert(f"QT-{uuid.uuid4()}")
    wrong = accepted(client.call("POST", ALERT, first))
    named = ",".join(first[part] for part in ("sender", "identifier", "sent"))
    update = oldsystems.alert(f"QT-{uuid.uuid4()}") | {"msgType": "Update", "references": named}
    right = event_of(world, accepted(client.call("POST", ALERT, update)))
    assert right["lgspreplaces"] == wrong == event_of(world, wrong)["id"]
    assert right["type"].endswith(":corrected")


@pytest.mark.obligation("4.5 (second half)")
def test_a_complaint_is_answered_by_whoever_supplied_the_data(world: World, instance: Settings) -> None:
    """Article 4.5 (second half): a complaint about a record goes to the agency that its origin names. That agency alone
    answers; the complainant reads the answer, and the log has both."""
    event = event_of(world, accepted(world.rest("bao-chay").call("POST", ALERT, messages.fire_alarm())))
    supplier, about = event["lgspagency"], f"transfer:{event['id']}"
    text, answer = f"Sai địa chỉ {uuid.uuid4()}", f"Đã sửa địa chỉ {uuid.uuid4()}"
    subject = ("--subject", "Cảnh báo sai địa chỉ", "--text", text)
    opened = case(world, "open", "complaint", "--to", supplier, "--about", about, *subject)
    assert opened["due"]
    path = f"/api/cases/{opened['case']}"
    for stranger in ("H14.4", "H14.21"):
        other = person(world, instance, "agency", stranger)
        refused = other.ask("GET", path), other.ask("POST", f"{path}/answer", {"text": "x"})
        assert [each.status_code for each in refused] == [404, 404]
    assert case(world, "close", opened["case"])["error"]["code"] == "case.not-now", "nobody has answered"
    officer = person(world, instance, "agency", supplier)
    assert officer.read(path)["case"]["text"] == text
    assert officer.post(f"{path}/answer", {"text": answer})["state"] == "answered"
    steps = case(world, "show", opened["case"])["case"]["steps"]
    assert [(each["agency"], each["text"]) for each in steps] == [("H14.0", text), (supplier, answer)]
    assert steps_of(instance, opened["case"]) == [("open", "H14.0"), ("answer", supplier)]
    assert case(world, "close", opened["case"])["state"] == "closed"


@pytest.mark.obligation("4.5 (second half)")
def test_a_complaint_that_nobody_answers_is_overdue(sqlite: Engine, tmp_path: Path) -> None:
    """Article 4.5 (second half): a complaint is overdue for its supplier after its deadline, until it is answered."""
    here = office(sqlite, tmp_path)
    complaint = here.open(HEALTH, "complaint", BUILD, reference="system:do-thi")

    def counted() -> dict[str, int]:
        with sqlite.connect() as connection:
            return reading.counts(connection, BUILD, here.now)

    assert counted() == {"open": 1, "overdue": 0}
    here.now += 20 * DAY
    assert counted() == {"open": 1, "overdue": 1}
    here.answer(BUILD, complaint)
    assert counted() == {"open": 1, "overdue": 0} and here.wrong() == []
