"""What an officer reads before and after he signs: prohibitions, half-signed grants, personal fields, new persons."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from contracts.base.ids import new_id
from gateway.audit.search.details import detail_words
from gateway.cli import run
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.registry.seals.revisions import revision
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from security.grants.approvals import public_pem
from security.transparency import entry as form
from tests import commandline

FIRST, SECOND = "can-bo-an-toan-1", "can-bo-an-toan-2"
GRANT = """
grants:
  - id: {id}
    agency: H14.7
    contract: field-report/v1
    operations: [createRequest]
    receives: true
    fields: ["*", "!email"]
    {more}
    purpose: Tiếp nhận phản ánh
    legal_basis: Quyết định 451/QĐ-UBND
    valid_from: 2026-01-01
    valid_until: 2040-12-31
"""
PERSON = """people:
  - id: lan
    agency: H14.0
    name: {{vi: "Lan", en: "Lan"}}
    role: auditor
    key: |
      {key}
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = load(tmp_path_factory.mktemp("reading") / "data", environment={})
    names = ("do-thi", "kinh-te", "mo-phong", "truong-ha")
    make_instance(settings, dict.fromkeys(names, "https://localhost:1"), time.time(), province=True)
    return settings


def said(sandbox: Settings, *words: str, ends: int = 0) -> str:
    code, out, err = commandline.lgsp(*words, "--data", str(sandbox.data))
    assert code == ends, out + err
    return out


def told(sandbox: Settings, *words: str, ends: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(sandbox, *words, "--json", ends=ends))
    return found


def proposed(sandbox: Settings, tmp_path: Path, id: str, more: str = "") -> None:
    file = tmp_path / f"{id}.yaml"
    file.write_text(GRANT.format(id=id, more=more), "utf-8")
    said(sandbox, "access", "propose", str(file))


def signed(sandbox: Settings, subject: str, officer: str) -> str:
    key = str(sandbox.identities / officer / "officer.key")
    return said(sandbox, "access", "approve", subject, "--officer", officer, "--key", key)


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.split()[0] == name)


def test_a_prohibition_is_never_listed_as_a_grant(sandbox: Settings, tmp_path: Path) -> None:
    proposed(sandbox, tmp_path, "G-700", "denies: true")
    line = line_of(said(sandbox, "access", "list"), "G-700")
    assert "FORBIDS to receive / CẤM nhận" in line and "signed" not in line
    assert "FORBIDS" not in line_of(said(sandbox, "access", "list"), "G-0012")


def test_a_proposal_is_not_told_as_in_force(sandbox: Settings, tmp_path: Path) -> None:
    """Also in its history: between two signatures it allowed nothing."""
    proposed(sandbox, tmp_path, "G-701")
    signed(sandbox, "G-701", FIRST)
    half = told(sandbox, "access", "show", "G-701")
    assert [each["standing"] for each in half["versions"]] == ["not-approved"] * 2
    assert "in force" not in said(sandbox, "access", "show", "G-701") and "active" not in said(
        sandbox, "access", "show", "G-701"
    )
    signed(sandbox, "G-701", SECOND)
    whole = told(sandbox, "access", "show", "G-701")
    assert [each["standing"] for each in whole["versions"]] == ["not-approved", "not-approved", "active"]


def test_the_personal_fields_of_a_grant_are_read_before_it_is_signed(sandbox: Settings, tmp_path: Path) -> None:
    proposed(sandbox, tmp_path, "G-702")
    (seen,) = told(sandbox, "access", "show", "G-702")["shows"]
    assert seen["message"] == "ServiceRequest"
    assert {"phone [basic]", "first_name [basic]", "description"} <= {*seen["shown"]}
    assert seen["hidden"] == ["email [basic]"]
    text = said(sandbox, "access", "show", "G-702")
    assert "phone [basic]" in text and "hidden / che" in text
    asked = told(sandbox, "access", "show", "G-0008")["shows"]
    assert [each["message"] for each in asked] == ["IndicatorValues"]


def test_a_revoked_grant_is_told_as_revoked(sandbox: Settings, tmp_path: Path) -> None:
    proposed(sandbox, tmp_path, "G-703")
    said(sandbox, "access", "revoke", "G-703", "--reason", "Hết nhiệm vụ")
    with open_engine(sandbox.database_url).connect() as connection:
        noted = list(map(json.loads, connection.scalars(select(tables.log_pending.c.entry))))
    (note,) = [each for each in noted if each.get("facts", {}).get("reason")]
    assert note["what"] == "access" and "Hết nhiệm vụ" in detail_words("access", note["facts"]).vi
    for words in (
        ("approve", "G-703", "--officer", FIRST, "--signature", "x..y"),
        ("revoke", "G-703"),
        ("suspend", "G-703", "--reason-vi", "a", "--reason-en", "b"),
    ):
        assert told(sandbox, "access", *words, ends=1)["error"]["code"] == "grant.revoked", words


def test_whether_a_refusal_was_right_is_said_first(sandbox: Settings) -> None:
    """A stolen key is refused whatever the grants say: the answer does not begin with `Yes`."""
    engine = open_engine(sandbox.database_url)
    with engine.connect() as connection:
        number = revision(connection)

    def refused(code: str, agency: str, system: str) -> str:
        now, id = time.time(), new_id()
        caller = form.Caller(agency, system)
        asked = ("indicator/v1", "getValue")
        entry = form.Refusal(id, now, "rest", code, 403, caller, None, *asked, registry=number)
        with writing(engine) as connection:
            append(connection, [LogRow(*form.freeze(entry))])
        return id

    def first(id: str, ends: int) -> str:
        return said(sandbox, "access", "explain", "--transfer", id, ends=ends).splitlines()[0]

    assert first(refused("signature.key-revoked", "H14.7", "y-te"), 0).startswith(
        "Refused for another reason than grants: The signing certificate was revoked"
    )
    assert first(refused("access.no-grant", "H14.21", "thuc-phan"), 1).startswith("It was right to refuse")
    assert first(refused("access.no-grant", "H14.7", "y-te"), 0).startswith("NOT RIGHT")
    assert first(refused("access.quota", "H14.7", "y-te"), 0).startswith("NOT RIGHT"), "its grant has no quota"
    engine.dispose()


def test_a_person_is_read_and_signed_and_is_in_office_by_the_second_signature(
    sandbox: Settings, tmp_path: Path
) -> None:
    """Also with signatures that were made on the officers' own machines."""
    document = Path("gateway/sandbox/province.yaml").read_text("utf-8")
    key = public_pem(ec.generate_private_key(ec.SECP256R1()).public_key()).strip().replace("\n", "\n      ")
    lan = PERSON.format(key=key)
    file = tmp_path / "tinh.yaml"
    file.write_text(document.replace("people:\n", lan, 1), "utf-8")
    said(sandbox, "registry", "apply", str(file))
    assert "lgsp access show person/lan" in said(sandbox, "access", "list")

    shown = told(sandbox, "access", "show", "person/lan")
    assert (shown["state"], shown["role"], shown["signed_by"]) == ("proposed", "auditor", [])
    canonical = tmp_path / "lan.json"
    canonical.write_text(said(sandbox, "access", "show", "person/lan", "--canonical"), "utf-8")
    made = commandline.lgsp(
        "access", "sign", str(canonical), "--officer", FIRST,
        "--key", str(sandbox.identities / FIRST / "officer.key"),
    )  # fmt: skip
    first = said(sandbox, "access", "approve", "person/lan", "--officer", FIRST, "--signature", made.out.strip())
    assert "person/lan: proposed" in first and "1 of 2 signatures" in first and "approved" not in first
    second = signed(sandbox, "person/lan", SECOND)
    assert "person/lan: active" in second and "2 of 2 signatures" in second
    shown = told(sandbox, "access", "show", "person/lan")
    assert (shown["state"], shown["signed_by"]) == ("active", [FIRST, SECOND])
    assert told(sandbox, "access", "show", f"officer/{FIRST}")["state"] == "active"
    assert told(sandbox, "access", "show", "officer/ai-do", ends=2)["error"]["code"] == "registry.unknown"


def test_the_root_can_be_compared_with_what_was_written_down(sandbox: Settings) -> None:
    """docs/keys.md: both officers of the ceremony sign for its thumbprint."""
    text = said(sandbox, "ca", "show")
    shown = told(sandbox, "ca", "show")["certificates"]
    assert shown and all(each["thumbprint"] in text for each in shown) and "khóa gốc nằm trên máy này" in text


def test_the_first_call_can_be_made_from_any_folder(
    sandbox: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the script by its path; no module of a checkout has to be found from here."""
    monkeypatch.chdir(tmp_path)
    line = next(each for each in run._to_try(sandbox).splitlines() if " GET " in each).split()
    assert Path(line[0]).is_file() and line[1:4] == ["client", "call", "--identity"]
    assert Path(line[4]).is_dir()
