"""`lgsp sandbox`: invitations, faults on demand, and a vendor who is expelled."""

from __future__ import annotations

import json
import time
from typing import Any

from contracts.base.words import Words
from gateway.journal.database import open_engine
from gateway.registry.changes import self_service
from gateway.registry.contacts import Contact
from gateway.registry.records import Agency
from gateway.registry.seals.sealing import Seal, changing
from gateway.sandbox.vendors.joining import note
from gateway.settings import Settings
from tests import commandline

VENDOR = "NCC.0000000A"
REASON = "Gửi dữ liệu thật vào phiên bản thử nghiệm"


def asked(settings: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("sandbox", *words, "--data", str(settings.data), "--json")
    return ended.code, json.loads(ended.out)


def joined(settings: Settings) -> None:
    engine, now = open_engine(settings.database_url), time.time()
    contact = (Contact(office="Công ty Mẫu", phone="", email="a@mau.example"),)
    with changing(engine, Seal.of(settings)) as act:
        changes = self_service.admit(
            act.connection, Agency(VENDOR, Words("x", "x"), "outside", ("vendor",), contact), now
        )
        note(act, VENDOR, changes, now, joined=True)
    engine.dispose()


def test_faults_are_ordered_listed_and_reset(sandbox: Settings) -> None:
    where = ("--system", "dan-cu", "--operation", "reference-query/v1 queryCitizen", "--calls", "3", "--minutes", "5")
    code, told = asked(sandbox, "fault", "order", "slow;seconds=2.5", *where)
    assert code == 0 and (told["kind"], told["seconds"], told["calls"]) == ("slow", 2.5, 3), told
    for wrong in (("flood",), ("slow", "--system", "khong-co"), ("slow;seconds=x",), ("slow", "--operation", "x/v1")):
        code, failed = asked(sandbox, "fault", "order", *wrong)
        assert code == 1 and failed["error"]["code"] == "sandbox.form", failed
    code, listed = asked(sandbox, "fault", "list")
    assert [(each["mark"], each["taken"], each["holds"]) for each in listed["faults"]] == [(told["mark"], 0, True)]
    assert "dan-cu" in commandline.lgsp("sandbox", "fault", "list", "--data", str(sandbox.data)).out
    assert asked(sandbox, "fault", "reset", told["mark"]) == (0, {"ok": True, "ended": [told["mark"]]})
    code, failed = asked(sandbox, "fault", "reset", told["mark"])
    assert code == 1 and failed["error"]["code"] == "unknown-fault"


def test_an_invitation_and_a_vendor_who_is_expelled(sandbox: Settings) -> None:
    code, made = asked(sandbox, "invite", "Công ty Mẫu", "--uses", "2")
    assert code == 0 and made["join"].endswith("/sandbox/join")
    assert asked(sandbox, "withdraw", made["mark"][:12]) == (0, {"ok": True, "mark": made["mark"]})
    joined(sandbox)
    code, failed = asked(sandbox, "expel", VENDOR, "--reason", "vì")
    assert code == 2 and failed["error"]["code"] == "reason"
    code, told = asked(sandbox, "expel", VENDOR, "--reason", REASON)
    assert code == 0 and {each["id"] for each in told["changes"]} == {VENDOR}, told
    code, listed = asked(sandbox, "list")
    assert [(each["code"], each["state"] != "active") for each in listed["vendors"]] == [(VENDOR, True)]
    code, failed = asked(sandbox, "expel", "H14.5", "--reason", REASON)
    assert code == 1 and failed["error"]["code"] == "sandbox.unknown", failed
