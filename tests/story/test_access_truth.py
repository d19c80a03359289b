"""The officer's questions, each answered by one command right after a month of changes: as the record has it that the
test kept while the month was played (`tests.story.recorded`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests import commandline
from tests.story.month import OFFICERS
from tests.story.recorded import (
    ALERT,
    DAYS,
    DOSSIER,
    HERE,
    INDICATOR,
    ONE,
    OPERATOR,
    REPORT,
    TODAY,
    TWO,
    Changed,
    Got,
    Grant,
    Story,
)  # fmt: skip


def play(story: Story) -> None:
    month, record = story.month, story.record
    # A ward asks for a right: before it is signed twice, nothing is answered.
    story.on(1)
    story.call("thuc-phan", INDICATOR, "getValue", "access.no-grant")
    story.propose("T-1", Grant("H14.21", INDICATOR, {"getValue"}, ["*", "!responsible"]))
    story.call("thuc-phan", INDICATOR, "getValue", "access.not-approved")
    story.on(2)
    story.sign("T-1", ONE)
    story.call("thuc-phan", INDICATOR, "getValue", "access.not-approved")
    story.on(3)
    story.sign("T-1", TWO)
    story.call("thuc-phan", INDICATOR, "getValue", "kinh-te")
    # A role is given, and with it what its grant lets it ask for.
    story.on(4)
    story.propose("T-2", Grant("role commune", DOSSIER, {"getStatus"}, ["*"]))
    for officer in OFFICERS:
        story.sign("T-2", officer)
    story.document("agency H14.3", lambda: month.entry("agencies", "H14.3")["roles"].append("commune"))
    story.call("do-thi", DOSSIER, "getStatus", "access.no-contract")
    story.agree("agency/H14.3", ONE)
    story.call("do-thi", DOSSIER, "getStatus", "access.no-contract")
    record.roles["H14.3"].add("commune")
    story.agree("agency/H14.3", TWO, roles=(["department"], ["department", "commune"]))
    story.call("do-thi", DOSSIER, "getStatus", "mot-cua")
    # Reports of citizens go to the ward: by signatures, and to nobody without a right to receive them.
    story.on(6)
    story.call("phan-anh", REPORT, "createRequest", "do-thi", area="01273")
    story.document("system thuc-phan", story.gets_address, "route field-report/v1 createRequest")
    story.call("phan-anh", REPORT, "createRequest", "do-thi", area="01273")
    for subject in ("system/thuc-phan", "route/field-report/v1/createRequest"):
        story.agree(subject, ONE)
    story.call("phan-anh", REPORT, "createRequest", "do-thi", area="01273")
    story.on(7)
    story.agree("system/thuc-phan", TWO, endpoint=(None, "https://localhost:1"))
    record.to = ["thuc-phan", "truong-ha"]
    story.agree(
        "route/field-report/v1/createRequest", TWO, routes=("truong-ha, do-thi, H14.21", "truong-ha, thuc-phan, H14.21")
    )
    story.call("phan-anh", REPORT, "createRequest", "route.not-granted", area="01273")
    story.propose("T-3", Grant("H14.21", REPORT, {"createRequest"}, ["*", "!phone"], receives=True))
    for officer in OFFICERS:
        story.sign("T-3", officer)
    story.call("phan-anh", REPORT, "createRequest", "thuc-phan", area="01273")
    # A version adds a telephone number.
    story.on(8)
    story.publish()
    # The ward may see whom to ask, for some days.
    story.on(10)
    story.propose("T-1", Grant("H14.21", INDICATOR, {"getValue"}, ["*"]))
    story.sign("T-1", ONE)
    story.call("thuc-phan", INDICATOR, "getValue", "access.not-approved")
    story.sign("T-1", TWO)
    story.call("thuc-phan", INDICATOR, "getValue", "kinh-te")
    # Suspended, resumed; a system's keys revoked.
    story.on(12)
    story.call("y-te", INDICATOR, "getValue", "kinh-te")
    month.lgsp("access", "suspend", "G-0006", "--reason-vi", "Rà soát", "--reason-en", "Review")
    record.grants["G-0006"].suspended = True
    story.wrote(OPERATOR, "grant G-0006", "suspended", state=("active", "suspended"))
    story.call("y-te", INDICATOR, "getValue", "access.suspended")
    story.on(14)
    month.lgsp("access", "resume", "G-0006")
    record.grants["G-0006"].suspended = False
    story.wrote(OPERATOR, "grant G-0006", "resumed", state=("suspended", "active"))
    story.call("y-te", INDICATOR, "getValue", "kinh-te")
    month.lgsp("registry", "revoke", "y-te", "--all", "--reason", "keyCompromise")
    for use in ("encrypt-1", "sign-1", "sign-rsa-1", "tls-1"):
        record.changed.append(Changed(month.now, OPERATOR, f"key y-te.{use}", "revoked", {}))
    # What nobody has signed twice.
    story.on(16)
    story.propose("T-4", Grant("H14.2", INDICATOR, {"getValue"}, ["*"]))
    story.sign("T-4", TWO)
    story.document("agency H14.6", lambda: month.entry("agencies", "H14.6")["roles"].append("commune"))
    # Events, and who reads them.
    story.on(20)
    story.call("canh-bao", ALERT, "submitAlert", None)
    story.read("dieu-hanh", ALERT, {"H14.2"}, 1)
    # The ward's right ends, and the role.
    story.on(25)
    month.lgsp("access", "revoke", "T-1")
    record.grants["T-1"].revoked = month.now
    story.wrote(OPERATOR, "grant T-1", "revoked")
    story.call("thuc-phan", INDICATOR, "getValue", "access.no-contract")
    story.document("agency H14.3", lambda: month.entry("agencies", "H14.3")["roles"].remove("commune"))
    story.agree("agency/H14.3", ONE)
    story.call("do-thi", DOSSIER, "getStatus", "mot-cua")
    record.roles["H14.3"].discard("commune")
    story.agree("agency/H14.3", TWO, roles=(["department", "commune"], ["department"]))
    story.call("do-thi", DOSSIER, "getStatus", "access.no-contract")
    # A provider is away, and gets it a day later.
    story.on(DAYS - 2)
    month.providers.down.add("truong-ha")
    waits = story.call("phan-anh", REPORT, "createRequest", "truong-ha")
    # Yesterday.
    story.on(DAYS - 1)
    month.providers.down.clear()
    assert month.deliver() == 1
    story.passed(waits, "H14.22")
    story.call("dieu-hanh", INDICATOR, "getValue", "kinh-te")
    answered = story.call("mot-cua-xa", DOSSIER, "getStatus", "mot-cua")
    story.call("phan-anh", REPORT, "createRequest", "thuc-phan", area="01273")
    story.call("thuc-phan", INDICATOR, "getValue", "access.no-contract")
    handed_in = story.call("kinh-te", INDICATOR, "submitValues", None)
    story.read("dieu-hanh", INDICATOR, {"H14.4"}, 1)
    story.read("dieu-hanh", ALERT, {"H14.2"}, 1)
    # A value that the feed holds is the answer; people read bodies, and feeds.
    key = {"indicator": "KT-02", "area": "04", "period": "2026-10"}
    values = [
        key | {"frequency": "M", "unit": "%", "value": 1, "status": "final", "updated": "2026-11-05T09:20:00+07:00"}
    ]
    story.call("kinh-te", INDICATOR, "submitValues", None, values=values)
    asked = story.call("dieu-hanh", INDICATOR, "getValue", None, **key)
    story.reads("H14.0", "H14.4", asked)
    for body, part, owner in ((handed_in, "request", "H14.4"), (answered, "provider-answer", "H14.5")):
        words = ("--part", part, "--reason", "Đối chiếu theo đề nghị")
        month.lgsp("audit", "body", body.transfer, *words)
        story.reads("H14.0", owner, body)
    story.month.lgsp("feed", "read", ALERT)
    story.record.got.append(Got(story.day, "H14.2", "H14.0", ALERT, None))
    story.on(DAYS, 0)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    told = Story(tmp_path_factory.mktemp("month"))
    try:
        play(told)
    finally:
        told.month.close()
    yield told


def ask(story: Story, *words: str, ends: int = 0) -> dict[str, Any]:
    """One command, now."""
    code, out, err = commandline.lgsp(*words, "--data", str(story.month.settings.data), "--json")
    assert code == ends, out + err
    told: dict[str, Any] = json.loads(out)
    return told


# --- the questions ----------------------------------------------------------------------------------------------------
@pytest.mark.full
def test_who_got_an_agencys_data_yesterday(story: Story) -> None:
    day, some = str(TODAY - timedelta(days=1)), 0
    for agency in story.record.roles:
        found = ask(story, "audit", "search", "--agency", agency, "--role", "owner", "--from", day, "--to", day)
        told = set()
        for entry in found["entries"]:
            roles = {(each["role"], each["agency"]) for each in entry["parties"]}
            readers = {whose for role, whose in roles if role == "reader"}
            others = (readers or {whose for role, whose in roles if role in ("caller", "provider")}) - {agency}
            transfer = None if entry["kind"] == "feed-read" else entry["about"]
            told |= {(receiver, entry["contract"], transfer) for receiver in others}
        wanted = {
            (each.receiver, each.contract, each.transfer)
            for each in story.record.got
            if (each.owner, each.day) == (agency, DAYS - 1)
        }
        assert told == wanted, agency
        some += len(wanted)
    assert some > 8


def test_was_this_refusal_right(story: Story) -> None:
    """And was this call lawful: each as it was decided, though its grant was changed or revoked since."""
    codes = set()
    for asked in story.record.asked:
        received = asked.code == "route.not-granted"
        ends = 0 if asked.code is None or received else 1
        told = ask(story, "access", "explain", "--transfer", asked.transfer, ends=ends)
        assert (told["agency"], told["contract"], told["operation"]) == (asked.agency, asked.contract, asked.operation)
        assert told["agrees"] and told["judged"]["allowed"] is (asked.code is None), asked
        assert told["logged"]["accepted"] is (asked.code is None)
        if told["allowed"]:
            assert {told["grant"], *told["also"]} == asked.grants
        else:
            assert f"access.{told['reason']}" == asked.code and not asked.grants
        if asked.code is not None:
            assert told["logged"]["failure"] == asked.code
            assert not received or told["judged"]["reason"] == asked.code
            codes.add(asked.code)
    assert codes == {
        "access.no-grant", "access.not-approved", "access.no-contract", "access.suspended", "route.not-granted",
    }  # fmt: skip


def test_was_it_lawful_on_that_day(story: Story) -> None:
    """By agency, contract and operation, at a time: as the door answered then."""
    for asked in story.record.asked:
        if asked.code == "route.not-granted":
            continue
        at = datetime.fromtimestamp(asked.at, HERE).isoformat()
        whose = (asked.agency, asked.contract, asked.operation)
        told = ask(story, "access", "explain", *whose, "--at", at, ends=0 if asked.code is None else 1)
        assert {told["grant"], *told["also"]} - {None} == asked.grants


def test_what_changed_this_month(story: Story) -> None:
    """By whom, old and new; nothing else, and nothing left out."""
    first, last = str(story.first), str(TODAY)
    words = ("--kind", "change", "--from", first, "--to", last, "--limit", "1000", "--order", "oldest")
    found = ask(story, "audit", "search", *words)["entries"]
    entries = [each for each in found if each["actor"] != "gateway" and each["kind"] != "console-account"]
    told, texts = set(), {}
    for entry in entries:
        at, who = round(datetime.fromisoformat(entry["at"]).timestamp()), re.split("[/:]", entry["actor"])[1]
        if entry["kind"] == "contract":
            told.add((at, who, f"contract {entry['contract']}", "published"))
        for what, how in re.findall(r"(?:^|; )(\w+ [^;,:]+): (\w+)(?: by [\w.-]+)?(?=;|$)", entry["detail"]):
            told.add((at, who, what, how))
        rows = [row for table in entry["changed"].values() for row in table.values()]
        pairs = {(plain(old), plain(new)) for row in rows for old, new in row.values()}
        texts[at] = entry["detail"], pairs
    wanted = {(round(each.at), each.who, each.what, each.how) for each in story.record.changed}
    assert told == wanted
    for each in story.record.changed:
        for name, (old, new) in each.values.items():
            text, pairs = texts[round(each.at)]
            assert plain(f"{'–' if old is None else old} → {new}") in plain(text), each
            assert name in ("version", "routes") or (plain(old), plain(new)) in pairs, each


def plain(value: Any) -> str:
    """A value as text, however a list is written."""
    return re.sub(r"[\"' ]", "", str(value))


def test_who_may_see_telephone_numbers_now_and_then(story: Story) -> None:
    phones, before = story.record.phones, set[Any]()
    for day, wanted in phones.items():
        if wanted == before and day != DAYS - 1:  # as on the day before
            continue
        before, then = wanted, story.first + timedelta(days=day)
        for at in (["--at", f"{then}T23:59"], *([[]] if day == DAYS - 1 else [])):
            told = ask(story, "access", "who", "--field", "phone", *at)
            found = {
                (each["agency"], each["how"], each["contract"], each["operation"], each["field"], grant)
                for each in told["receivers"]
                if each["found_by"] == "name"
                for grant in each["grants"]
            }
            assert found == wanted, then
    assert len({frozenset(each) for each in phones.values()}) >= 5


def test_who_may_see_personal_data(story: Story) -> None:
    """Telephone numbers are personal: each is in the answer, and each field that is there is marked."""
    told = ask(story, "access", "who", "--personal")["receivers"]
    assert {each["personal"] for each in told} <= {"basic", "sensitive"}
    found = {
        (each["agency"], each["how"], each["contract"], each["operation"], each["field"], grant)
        for each in told
        if each["field"].endswith("phone")
        for grant in each["grants"]
    }
    assert found == story.record.phones[DAYS - 1]


def test_what_an_agency_may_receive_and_ask(story: Story) -> None:
    """By which grants, and by which routes."""
    for agency in story.record.roles:
        told = set()
        for cell in ask(story, "access", "matrix", "--agency", agency)["matrix"]:
            by = {cell["grant"], *cell["also"]} if cell["allowed"] else set()
            routed = tuple(cell["systems"]) if cell["how"] == "request" else ()
            told |= {(cell["contract"], cell["operation"], cell["how"] == "request", grant, routed) for grant in by}
        wanted = {
            (grant.contract, operation, grant.receives, name, story.record.routed(agency, grant, operation))
            for name, grant in story.record.held(agency).items()
            for operation in grant.operations
        }
        assert told == wanted, agency


def test_what_became_of_a_grant(story: Story) -> None:
    """Who signed it, what it said before, when it was revoked, and by whom."""
    told = ask(story, "access", "show", "T-1")
    assert told["standing"] == "revoked" and OPERATOR in told["ended_by"]
    (ended,) = (each.at for each in story.record.changed if (each.what, each.how) == ("grant T-1", "revoked"))
    assert datetime.fromisoformat(told["ended"]).timestamp() == ended
    acts = [each for each in story.record.changed if each.what == "grant T-1"]
    known = [
        (round(datetime.fromisoformat(each["from"]).timestamp()), re.split("[/:]", each["by"])[1])
        for each in told["versions"]
    ]
    assert known == [(round(each.at), each.who) for each in acts]
    signed = {(each["officer"], round(datetime.fromisoformat(each["given"]).timestamp())) for each in told["approvals"]}
    assert signed == {(each.who, round(each.at)) for each in acts if each.how == "approved"}
    assert not any(each["holds"] for each in told["approvals"])
    texts = [each["content"]["fields"] for each in told["versions"]]
    assert texts[0] == ["*", "!responsible"] and texts[-1] == ["*"]
    for name, grant in story.record.grants.items():
        told = ask(story, "access", "show", name)
        assert (told["standing"] == "in force") is grant.holds
        assert {each["officer"] for each in told["approvals"] if each["holds"]} == grant.signers


def test_what_waits_for_officers(story: Story) -> None:
    told = ask(story, "access", "list")
    waits = {each["id"]: set(each["approved_by"]) for each in told["grants"] if each["standing"] == "not-approved"}
    assert waits == {"T-4": {TWO}}
    assert {(each["subject"], *each["signed_by"]) for each in told["waiting"]} == {("agency/H14.6",)}
    assert "T-1" not in {each["id"] for each in told["grants"]}
    every = {each["id"]: each["standing"] for each in ask(story, "access", "list", "--all")["grants"]}
    assert every.keys() == story.record.grants.keys() and every["T-1"] == "revoked"
