"""`lgsp access` over an instance at rest: what officers read, sign away from the gateway, and are told when something
lacks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway.cli.access.rows import row
from gateway.sandbox import people
from gateway.settings import Settings
from security.grants.grants import Grant
from security.grants.windows import VIETNAM
from tests import commandline

GRANT = """
grants:
  - id: G-100
    agency: H14.21
    contract: indicator/v1
    operations: [getValue]
    fields: ["*", "!responsible"]
    purpose: Theo dõi chỉ tiêu trên địa bàn phường
    legal_basis: Quyết định 451/QĐ-UBND, Điều 11 khoản 1
    valid_from: 2026-01-01
    valid_until: 2030-12-31
    hours: {days: [mon, tue, wed, thu, fri], from: "07:00", until: "17:30"}
    quota: {calls: 100, per: day}
    proposed_by: can-bo-an-toan-1
"""


def lgsp(*words: str, ends: int = 0) -> str:
    code, out, err = commandline.lgsp(*words)
    assert code == ends, out + err
    return out


def told(sandbox: Settings, *words: str, ends: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lgsp(*words, "--data", str(sandbox.data), "--json", ends=ends))
    return found


def test_from_proposal_to_explanation(sandbox: Settings, tmp_path: Path) -> None:
    file = tmp_path / "quyen.yaml"
    file.write_text(GRANT, "utf-8")
    assert told(sandbox, "access", "propose", str(file))["grants"][0]["standing"] == "not-approved"
    key = {name: str(sandbox.identities / name / "officer.key") for name in ("can-bo-an-toan-1", "can-bo-an-toan-2")}
    public = tmp_path / "officer.pub"
    public.write_text("-----BEGIN PUBLIC KEY-----\n")
    no = told(sandbox, "access", "approve", "G-100", "--officer", "can-bo-an-toan-1", "--key", str(public), ends=2)
    assert f"{public} is a public key / {public} là khóa công khai" in no["error"]["what"]
    own = told(
        sandbox, "access", "approve", "G-100", "--officer", "can-bo-an-toan-1", "--key", key["can-bo-an-toan-1"], ends=1
    )
    assert own["error"]["code"] == "approval.own-proposal"

    # The officer's own machine: the content goes there, the signature comes back, the key stays.
    content = tmp_path / "G-100.json"
    content.write_text(lgsp("access", "show", "G-100", "--canonical", "--data", str(sandbox.data)), "utf-8")
    signature = json.loads(
        lgsp(
            "access", "sign", str(content), "--officer", "can-bo-an-toan-2", "--key", key["can-bo-an-toan-2"], "--json"
        )
    )["signature"]
    wrong = told(
        sandbox, "access", "approve", "G-0006", "--officer", "can-bo-an-toan-2", "--signature", signature, ends=1
    )
    assert wrong["error"]["code"] == "approval.invalid"
    signed = told(sandbox, "access", "approve", "G-100", "--officer", "can-bo-an-toan-2", "--signature", signature)
    assert signed["approved_by"] == ["can-bo-an-toan-2"] and signed["changes"][0]["how"] == "approved"

    why = told(sandbox, "access", "explain", "H14.21", "indicator/v1", "getValue", "--at", "2027-11-23T14:00", ends=1)
    assert (why["reason"], why["nearest"]) == ("not-approved", "G-100") and "1 more" in why["messages"]["en"]["detail"]
    assert "tong-hop@taichinh" in why["ask"]["vi"] and why["quota"]["left"] == 100
    file.write_text(GRANT.replace("edition: 1", "").rstrip() + "\n    edition: 7\n", "utf-8")
    kept = told(sandbox, "access", "propose", str(file), ends=1)
    assert kept["error"]["code"] == "grant.stands", kept
    shown = told(sandbox, "access", "show", "G-100")
    assert [each["holds"] for each in shown["approvals"]] == [True] and shown["content"][
        "proposed_by"
    ] == "can-bo-an-toan-1"

    noon = told(sandbox, "access", "explain", "H14.7", "indicator/v1", "getValue")
    assert noon["allowed"] and noon["grant"] == "G-0006"
    assert noon["hidden"] == ["IndicatorValue: responsible.name", "IndicatorValue: responsible.phone"]
    assert "IndicatorValue: value" in noon["visible"]
    assert noon["receivers"] == [
        {"system": "@feed", "agency": None, "allowed": True, "grants": []},
        {"system": "kinh-te", "agency": "H14.4", "allowed": True, "grants": ["G-0014"]},
    ]
    listed = told(sandbox, "access", "list")
    assert {each["id"]: each["receives"] for each in listed["grants"]}["G-0014"] is True
    assert {each["id"]: each["standing"] for each in listed["grants"]}["G-100"] == "not-approved"
    assert len(listed["officers"]) == 3
    cells = told(sandbox, "access", "matrix")["matrix"]
    assert {
        (each["agency"], each["operation"], each["how"])
        for each in cells
        if each["contract"] == "indicator/v1" and each["allowed"]
    } == {
        ("H14.0", "getValue", "answer"),
        ("H14.0", "feed", "feed"),
        ("H14.4", "submitValues", "answer"),
        ("H14.4", "getValue", "request"),
        ("H14.7", "getValue", "answer"),
    }


def test_the_nearest_grant_is_named_with_its_contract(sandbox: Settings) -> None:
    said = lgsp(
        "access", "explain", "H14.0", "official-document/v1", "sendDocument", "--data", str(sandbox.data), ends=1
    )
    assert re.search(r"Grant G-[0-9]+ for (?!official-document)[a-z-]+/v1 is of", said), said


def test_a_suspended_agency_is_explained(sandbox: Settings) -> None:
    for words in (
        ("suspend", "agency", "H14.7", "--reason-vi", "Nghi lộ khóa ký", "--reason-en", "A key may have leaked"),
        ("resume", "agency", "H14.7"),
    ):
        assert told(sandbox, "registry", *words)["ok"]
        said = lgsp("access", "explain", "H14.7", "indicator/v1", "getValue", "--data", str(sandbox.data))
        assert ("A key may have leaked" in said) is (words[0] == "suspend")


def test_the_key_of_each_officer_can_be_compared(sandbox: Settings) -> None:
    listed = lgsp("access", "list", "--data", str(sandbox.data))
    for officer in told(sandbox, "access", "list")["officers"]:
        public = load_pem_public_key((sandbox.identities / officer["id"] / "officer.pub").read_bytes())
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        own = (
            base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
        )  # as docs/access.md has it be computed
        assert officer["key"] == own and own in listed


def test_a_second_suspension_says_what_becomes_of_the_first(sandbox: Settings) -> None:
    words = ("suspend", "system", "y-te", "--reason-vi", "Khóa lộ", "--reason-en", "Stolen key")
    for past in (("registry", *words), ("access", "suspend", "G-0006", "--reason-en", "Under review")):
        assert told(sandbox, *past, "--until", "2025-12-01", ends=2)["error"]["code"] == "no-time"
    today = datetime.now(VIETNAM).date().isoformat()  # a day counts to its end
    assert told(sandbox, "access", "suspend", "G-0006", "--reason-en", "Under review", "--until", today)["ok"]
    assert told(sandbox, "access", "resume", "G-0006")["ok"]
    first = told(sandbox, "registry", *words, "--until", "2030-01-01T17:30")
    assert first["before"] is None
    sooner = told(sandbox, "registry", *words, "--until", "2029-12-31", ends=1)
    assert (
        sooner["error"]["code"] == "registry.suspended-longer" and "2030-01-01T17:30+07:00" in sooner["error"]["what"]
    )
    seen = lgsp("registry", "show", "--data", str(sandbox.data))
    assert "until / đến 2030-01-01T17:30+07:00: Stolen key / Khóa lộ" in seen
    said = lgsp("registry", *words, "--data", str(sandbox.data))
    assert "2030-01-01T17:30+07:00" in said and "replaced" in said and "được thay" in said
    assert told(sandbox, "registry", *words, "--until", "2030-01-01", ends=1)["error"] != sooner["error"], (
        "the end is open now"
    )
    again = told(sandbox, "registry", *words, "--until", "2030-01-01", "--shorten")
    assert again["ok"] and again["before"]["until"] is None and again["before"]["reason"]["en"] == "Stolen key"
    assert told(sandbox, "registry", "resume", "system", "y-te")["ok"]


PAST = """
grants:
  - id: G-300
    agency: H14.22
    contract: indicator/v1
    operations: [getValue]
    fields: ["*"]
    purpose: Theo dõi chỉ tiêu của xã
    legal_basis: Quyết định 451/QĐ-UBND, Điều 11 khoản 1
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""
ASKED = ("H14.22", "indicator/v1", "getValue")


def moment() -> str:
    """Now, between two changes of the registry."""
    time.sleep(0.01)
    at = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    return at


def test_what_was_revoked_is_answered_as_it_held_then(sandbox: Settings, tmp_path: Path) -> None:
    """A lawful call stays lawful: every command that takes a time answers by what held then, and nothing vanishes."""
    file = tmp_path / "quyen.yaml"
    file.write_text(PAST, "utf-8")
    told(sandbox, "access", "propose", str(file))
    proposed = moment()
    for name in ("can-bo-an-toan-1", "can-bo-an-toan-2"):
        key = str(sandbox.identities / name / "officer.key")
        told(sandbox, "access", "approve", "G-300", "--officer", name, "--key", key)
    held = moment()
    told(sandbox, "access", "suspend", "G-300", "--reason-vi", "Soát lại", "--reason-en", "Under review")
    suspended = moment()
    told(sandbox, "access", "revoke", "G-300")

    assert told(sandbox, "access", "explain", *ASKED, "--at", proposed, ends=1)["reason"] == "not-approved"
    then = told(sandbox, "access", "explain", *ASKED, "--at", held)
    assert (
        then["allowed"]
        and then["grant"] == "G-300"
        and then["approved_by"]
        == [
            "can-bo-an-toan-1",
            "can-bo-an-toan-2",
        ]
    )
    why = told(sandbox, "access", "explain", *ASKED, "--at", suspended, ends=1)
    assert why["reason"] == "suspended" and "Under review" in why["messages"]["en"]["detail"]
    assert told(sandbox, "access", "explain", *ASKED, ends=1)["reason"] == "no-contract"

    def granted(*words: str) -> bool:
        cells = told(sandbox, "access", "matrix", *words)["matrix"]
        asked = dict(zip(("agency", "contract", "operation"), ASKED, strict=True))
        return any(each["allowed"] for each in cells if each.items() >= asked.items())

    assert granted("--at", held) and not granted("--at", proposed) and not granted()

    def standing(*words: str) -> str | None:
        listed = told(sandbox, "access", "list", *words)["grants"]
        return {each["id"]: str(each["standing"]) for each in listed}.get("G-300")

    assert (standing(), standing("--all"), standing("--at", held)) == (None, "revoked", "in force")
    shown = told(sandbox, "access", "show", "G-300")
    assert shown["standing"] == "revoked" and shown["ended_by"].startswith(f"H14.0/{people.OPERATOR}: nobody named, ")
    assert [(each["state"], len(each["signed"])) for each in shown["versions"]] == [
        ("active", 0),
        ("active", 1),
        ("active", 2),
        ("suspended", 2),
        ("revoked", 0),
    ]
    ends = [each["until"] for each in shown["versions"]]
    assert ends[:-1] == [each["from"] for each in shown["versions"]][1:] and ends[-1] is None
    assert [each["what"] for each in shown["versions"]] == ["access", "access", "access", "suspended", "access"]
    assert told(sandbox, "access", "show", "G-300", "--at", held)["standing"] == "in force"
    assert told(sandbox, "access", "show", "G-300", "--at", proposed, "--json")["approvals"] == []
    assert told(sandbox, "registry", "show", "--at", held)["revision"] < told(sandbox, "registry", "show")["revision"]
    told(sandbox, "registry", "revoke", "phan-anh.sign-1", "--reason", "superseded")
    keys = [told(sandbox, "registry", "keys", "phan-anh", *at)["keys"] for at in ((), ("--at", held))]
    states = [{each["key"]: each["state"] for each in some}["phan-anh.sign-1"] for some in keys]
    assert states == ["revoked", "active"]
    early = told(sandbox, "access", "explain", *ASKED, "--at", "2026-01-01", ends=2)["error"]
    assert early["code"] == "registry.no-history"
    again = told(sandbox, "access", "propose", str(file), ends=1)["error"]
    assert again["code"] == "approval.given-up" and "edition" in again["next"], "nobody could sign it"
    file.write_text(PAST + "    edition: 2\n", "utf-8")
    assert told(sandbox, "access", "propose", str(file))["ok"]


def test_the_last_day_of_a_grant_is_shown_as_that_day(sandbox: Settings) -> None:
    """`valid_until: 2030-12-31` is no 2031, and no moment in UTC."""
    place = ("--data", str(sandbox.data))
    for words in (("list",), ("show", "G-0006"), ("explain", "H14.7", "indicator/v1", "getValue")):
        text = lgsp("access", *words, *place)
        assert "2031-01-01" not in text and "T17:00:00.000Z" not in text
        assert "2027-12-31" in text or "2030-12-31" in text, text


def test_several_are_signed_by_one_command_each_by_itself(sandbox: Settings, tmp_path: Path) -> None:
    names, officer = ("G-201", "G-202", "G-203"), "can-bo-an-toan-2"
    key = str(sandbox.identities / officer / "officer.key")
    document, one = "grants:\n", GRANT.partition("grants:\n")[2]
    for name, by in zip(names, ("", f"    proposed_by: {officer}\n", ""), strict=True):
        document += one.replace("G-100", name).replace("    proposed_by: can-bo-an-toan-1\n", by)
    (tmp_path / "quyen.yaml").write_text(document, "utf-8")
    proposed = lgsp("access", "propose", str(tmp_path / "quyen.yaml"), "--data", str(sandbox.data))
    assert f"lgsp access approve {' '.join(names)} --officer ID --key FILE" in proposed

    mixed = told(sandbox, "access", "approve", *names, "G-999", "--officer", officer, "--key", key, ends=2)
    assert [(each["subject"], each["ok"]) for each in mixed["subjects"]] == [
        ("G-201", True), ("G-202", False), ("G-203", True), ("G-999", False),
    ]  # fmt: skip
    assert [each["error"]["code"] for each in mixed["subjects"] if not each["ok"]] == [
        "approval.own-proposal",
        "registry.unknown",
    ]
    assert mixed["subjects"][0]["approved_by"] == [officer] and not mixed["ok"]
    code, out, _ = commandline.lgsp(
        "access", "approve", *names, "--officer", officer, "--key", key, "--data", str(sandbox.data)
    )
    lines = [line for line in out.splitlines() if line.startswith("G-")]
    assert code == 1 and [line.partition(":")[0] for line in lines] == list(names)
    assert "signed before" in lines[0] and "not signed / chưa ký" in lines[1] and "approval.own-proposal" in lines[1]

    # Away from the gateway: one file of contents, one signature a line, in their order.
    (tmp_path / "contents").write_text(
        lgsp("access", "show", "G-201", "G-203", "--canonical", "--data", str(sandbox.data)), "utf-8"
    )
    first = "can-bo-an-toan-1"
    own = str(sandbox.identities / first / "officer.key")
    signatures = lgsp("access", "sign", str(tmp_path / "contents"), "--officer", first, "--key", own)
    assert len(signatures.split()) == 2
    swapped = " ".join(reversed(signatures.split()))
    words = ("access", "approve", "G-201", "G-203", "--officer", first, "--signature")
    wrong = told(sandbox, *words, swapped, ends=1)["subjects"]
    assert [each["error"]["code"] for each in wrong] == ["approval.invalid"] * 2
    assert told(sandbox, *words, signatures.split()[0], ends=2)["error"]["code"] == "signatures"
    signed = told(sandbox, *words, signatures)
    assert signed["ok"] and [len(each["approved_by"]) for each in signed["subjects"]] == [2, 2]
    shown = told(sandbox, "access", "show", "G-201", "G-202")["subjects"]
    assert [(each["subject"], each["approved_by"]) for each in shown] == [
        ("G-201", [first, officer]),
        ("G-202", []),
    ]


def test_a_grant_that_lacks_a_signature_and_begins_later_is_told_as_not_approved() -> None:
    """Time alone will not bring it into force."""
    grant = Grant("G-1", "H14.7", None, "indicator/v1", ("getValue",), ("*",), "Điều hành", "QĐ 1", 2000.0, 3000.0)
    signed = grant.with_status("active", ("can-bo-an-toan-1", "can-bo-an-toan-2"))
    assert row(grant, 1000.0)["standing"] == "not-approved"
    assert row(signed, 1000.0)["standing"] == "not-yet-valid"
