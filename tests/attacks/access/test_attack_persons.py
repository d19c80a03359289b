"""Whoever acts at the command line is a proved person: attempts to act as nobody, as another, or beyond a role."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.base.errors import Failure
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.acts import check_acts
from gateway.cli.common.persons import Asked, _acting
from gateway.cli.duties import DUTIES, ROLES, Duty
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.registry.changes.officers import PERSONS, set_officer
from gateway.registry.seals.sealing import Seal, changing
from gateway.sandbox import people
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings, load
from gateway.transfer import entries
from security.grants import statements
from security.grants.approvals import Officer, approve, public_pem, thumbprint
from security.grants.statements import Command, Statement, check, state
from security.pki.authority import private_pem
from security.transparency.entry import Actor
from tests import commandline

NOW = 1_795_503_600.0
NOTICE = ("--reason-vi", "Nghi lộ khóa ký", "--reason-en", "A key may have leaked")
SUSPEND = ("registry", "suspend", "agency", "H14.7", *NOTICE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A production instance with the province's officers and persons, whose keys lie in identities/."""
    settings = replace(load(tmp_path_factory.mktemp("persons") / "data", environment={}), kind="production")
    endpoints = dict.fromkeys(("do-thi", "kinh-te", "mo-phong", "truong-ha"), "https://localhost:1")
    make_instance(settings, endpoints, time.time(), province=True)
    return settings


@pytest.fixture
def production(made: Settings, tmp_path: Path) -> Settings:
    """A copy of its own."""
    shutil.copytree(made.data, tmp_path / "data")
    return replace(made, data=tmp_path / "data")


def key(settings: Settings, person: str) -> str:
    kind = "officer" if person.startswith("can-bo") else "person"
    return str(settings.identities / person / f"{kind}.key")


def lgsp(settings: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp(*words, "--data", str(settings.data), "--json")
    return ended.code, json.loads(ended.out)


def refused(settings: Settings, *words: str) -> str:
    """The code of a refusal that changed nothing and logged nothing."""
    before = held(settings)
    code, told = lgsp(settings, *words)
    assert code and not told["ok"], told
    assert held(settings) == before
    return str(told["error"]["code"])


def held(settings: Settings) -> tuple[Any, ...]:
    with sqlite3.connect(settings.data / "lgsp.db") as base:
        return tuple(
            base.execute(f"select count(*), max({column}) from {table}").fetchone()
            for table, column in (
                ("log_pending", "id"),
                ("notice", "since"),
                ("agency", "state"),
                ("instance", "value"),
            )
        )


def newest(settings: Settings) -> dict[str, Any]:
    with sqlite3.connect(settings.data / "lgsp.db") as base:
        raw = base.execute("select entry from log_pending order by id desc limit 1").fetchone()[0]
    found: dict[str, Any] = json.loads(raw)
    return found


@pytest.mark.attack("acting as another")
@pytest.mark.parametrize(
    "words",
    [
        SUSPEND,
        ("registry", "resume", "agency", "H14.7"),
        ("registry", "revoke", "y-te.sign-1", "--reason", "superseded"),
        ("access", "revoke", "G-0006"),
        ("keys", "rotate", "sign"),
        ("contract", "publish", "indicator/v1", "--rollback"),
        ("vault", "hold", "add", "vu-an", "--reason", "công văn 12", "--agency", "H14.5"),
        ("audit", "body", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "--reason", "kiểm tra định kỳ"),
        ("feed", "read", "incident-alert/v1"),
    ],
    ids=" ".join,
)
def test_nobody_changes_or_reads_bodies_in_production(production: Settings, words: tuple[str, ...]) -> None:
    assert refused(production, *words) == "act.no-person"


@pytest.mark.attack("acting as another")
def test_a_table_of_the_log_is_not_handed_to_nobody(production: Settings) -> None:
    before = held(production)
    assert commandline.lgsp("audit", "search", "--csv", "--data", str(production.data)).code == 1
    assert held(production) == before


def test_a_person_acts_and_the_entry_can_be_verified(production: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert lgsp(production, *SUSPEND, *who)[0] == 0
    entry = newest(production)
    assert entry["actor"].startswith(f"H14.0/{people.OPERATOR}: ") and entry["actor"].endswith(", command line")
    stated = json.loads(entry["proof"]["statement"])
    assert (stated["act"], stated["person"]) == ("registry suspend", people.OPERATOR)
    assert len(json.dumps(entry["proof"])) < statements.MOST_BYTES
    monkeypatch.setenv("LGSP_AS", people.OPERATOR)
    monkeypatch.setenv("LGSP_KEY", "-")  # as in a container, which has no such file
    given = Path(key(production, people.OPERATOR)).read_bytes()
    assert commandline.lgsp("registry", "resume", "agency", "H14.7", f"--data={production.data}", given=given).code == 0
    assert found_wrong(production) == ([], 2)


def test_an_officer_acts_by_signing(production: Settings) -> None:
    officer = ("--officer", "can-bo-an-toan-1", "--key", key(production, "can-bo-an-toan-1"))
    assert lgsp(production, "access", "approve", "G-0006", *officer)[0] == 0
    with_person = (*officer[:2], "--signature", "x", "--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert lgsp(production, "access", "approve", "G-0006", *with_person)[1]["error"]["code"] == "approval.invalid"


@pytest.mark.attack("acting as another")
@pytest.mark.parametrize("other", [people.AUDITOR, "can-bo-an-toan-1"])
def test_another_persons_key_proves_nothing(production: Settings, other: str) -> None:
    assert refused(production, *SUSPEND, "--as", people.OPERATOR, "--key", key(production, other)) == "act.invalid"


@pytest.mark.attack("acting as another")
def test_nobody_of_that_name_and_no_key(production: Settings) -> None:
    own = key(production, people.OPERATOR)
    assert refused(production, *SUSPEND, "--as", "ai-do", "--key", own) == "registry.unknown"
    assert refused(production, *SUSPEND, "--as", people.OPERATOR) == "no-key"


@pytest.mark.attack("acting as another")
@pytest.mark.parametrize("left", ["retired", "revoked", "proposed"])
def test_who_left_or_is_not_admitted_acts_no_more(production: Settings, left: str) -> None:
    with changing(open_engine(production.database_url), Seal.of(production)) as act:
        set_officer(act.connection, people.OPERATOR, left, time.time(), PERSONS)  # type: ignore[arg-type]
        act.note("registry", {}, time.time())
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert refused(production, *SUSPEND, *who) == "act.not-in-office"


@pytest.mark.attack("acting beyond a role")
@pytest.mark.parametrize("command", sorted(name for name, duty in DUTIES.items() if duty in ROLES))
def test_what_an_auditor_may(made: Settings, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, _, option = command.partition(" --")
    given = {"data": made.data, "as_json": True} | ({option: True} if option else {})
    auditor = Asked(name, given, people.AUDITOR, Path(key(made, people.AUDITOR)), None)
    if DUTIES[command] is Duty.DISCLOSES:
        with _acting(auditor):
            return
    with pytest.raises(SystemExit) as ended, _acting(auditor):
        pytest.fail("an auditor changed something")
    assert ended.value.code == 1 and json.loads(capsys.readouterr().out)["error"]["code"] == "act.no-role"


@pytest.mark.attack("acting beyond a role")
def test_an_operator_signs_no_grant(production: Settings) -> None:
    own = key(production, people.OPERATOR)
    words = ("access", "approve", "G-0006", "--officer", people.OPERATOR, "--key", own)
    assert refused(production, *words) == "registry.unknown"


@pytest.mark.attack("acting as another")
def test_a_person_written_into_the_database_proves_nothing(production: Settings) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    mine = production.data.parent / "mine.key"
    mine.write_bytes(private_pem(private))
    public = private.public_key()
    for row in ({"id": "ke-gian"}, {"id": people.OPERATOR}):
        with sqlite3.connect(production.data / "lgsp.db") as base:
            base.execute("delete from person where id = ?", (row["id"],))
            base.execute(
                "insert into person values (?, 'H14.0', 'operator', 'x', 'x', ?, ?, 'active', 0)",
                (row["id"], public_pem(public), thumbprint(public)),
            ) if row["id"] == "ke-gian" else base.execute(
                "insert into person values (?, 'H14.0', 'operator', 'x', 'x', ?, 'other', 'active', 0)",
                (row["id"], public_pem(public)),
            )
        assert refused(production, *SUSPEND, "--as", row["id"], "--key", str(mine)) == "registry.altered"


@pytest.mark.attack("acting as another")
@pytest.mark.parametrize("number", ["kept", "raised"])
def test_who_was_retired_does_not_come_back_with_older_rows(production: Settings, number: str) -> None:
    base = production.data / "lgsp.db"
    before = production.data.parent / "before.db"
    with sqlite3.connect(base) as old:
        old.execute("vacuum into ?", (str(before),))
    with changing(open_engine(production.database_url), Seal.of(production)) as act:
        set_officer(act.connection, people.OPERATOR, "revoked", time.time(), PERSONS)
        act.note("registry", {}, time.time())
    for file in production.data.glob("lgsp.db*"):
        file.unlink()
    shutil.copy(before, base)
    if number == "raised":
        with sqlite3.connect(base) as rolled:
            rolled.execute("update instance set value = value + 9 where key = 'registry.revision'")
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert refused(production, *SUSPEND, *who) == "registry.altered"


# --- statements -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def person(private: ec.EllipticCurvePrivateKey) -> Officer:
    from contracts.base.words import Words

    public = private.public_key()
    return Officer("lan", "H14.0", Words("Lan", "Lan"), public_pem(public), "active", 0.0, public, "operator")


ASKED = Command.of("registry apply", {"file": "a.yaml"}, "tinh.example/lgsp")


@pytest.mark.attack("replaying a statement")
@pytest.mark.parametrize(
    ("asked", "at", "code"),
    [
        (ASKED, NOW + 59, None),
        (ASKED, NOW + 61, "act.stale"),
        (ASKED, NOW - 6, "act.stale"),
        (Command.of("registry revoke", {"file": "a.yaml"}, "tinh.example/lgsp"), NOW, "act.other"),
        (Command.of("registry apply", {"file": "b.yaml"}, "tinh.example/lgsp"), NOW, "act.other"),
        (Command.of("registry apply", {"file": "a.yaml"}, "tinh.example/other"), NOW, "act.other"),
    ],
    ids=["fresh", "old", "of the future", "another command", "other arguments", "another instance"],
)
def test_a_statement_is_for_one_act(
    private: ec.EllipticCurvePrivateKey, person: Officer, asked: Command, at: float, code: str | None
) -> None:
    statement = state(ASKED, "lan", private_pem(private), None, NOW)
    try:
        check(statement, person, asked, at)
    except Failure as failure:
        assert failure.code == code
    else:
        assert code is None


@pytest.mark.attack("replaying a statement")
def test_what_was_signed_for_something_else_is_no_statement(
    private: ec.EllipticCurvePrivateKey, person: Officer
) -> None:
    good = state(ASKED, "lan", private_pem(private), None, NOW)
    as_approval = approve(good.text.encode(), "lan", private_pem(private))
    spaced = good.text.replace(",", ", ")
    for statement in (
        Statement(good.text, as_approval),
        Statement(good.text.replace("lan", "bao"), good.signature),
        Statement(spaced, approve(spaced.encode(), "lan", private_pem(private), typ=statements.TYPE)),
        Statement("x" * 3000, approve(b"x" * 3000, "lan", private_pem(private), typ=statements.TYPE)),
        Statement(good.text, good.signature[:-4] + "AAAA"),
        Statement("\ud800", good.signature),
    ):
        with pytest.raises(Failure) as refusal:
            check(statement, person, ASKED, NOW)
        assert refusal.value.code == "act.invalid"


# --- the log ----------------------------------------------------------------------------------------------------------


def found_wrong(settings: Settings) -> tuple[list[str], int]:
    wrong = Findings()
    with open_engine(settings.database_url).connect() as connection:
        check_acts(connection, wrong)
    return wrong.wrong, wrong.checked["acts of persons"]


@pytest.mark.attack("acting as another")
@pytest.mark.parametrize("how", ["another signed", "unknown", "another is named", "no form"])
def test_a_false_proof_in_the_log_is_found(production: Settings, how: str) -> None:
    own = Path(key(production, people.AUDITOR if how == "another signed" else people.OPERATOR)).read_bytes()
    signer = "ai-do" if how == "unknown" else people.OPERATOR
    statement = state(ASKED, signer, own, None, time.time())
    text = "H14.0/can-bo-an-toan-1: root" if how == "another is named" else f"H14.0/{signer}: root"
    actor = Actor.proved(text, signer, statement.text, statement.signature)
    if how == "no form":
        actor.proof = {"person": 1}
    with writing(open_engine(production.database_url)) as connection:
        append(connection, [entries.note("export", {}, time.time(), actor=actor)])
    assert len(found_wrong(production)[0]) == 1


@pytest.mark.attack("acting as another")
def test_an_emergency_is_logged_before_it_acts_and_stays_listed(production: Settings) -> None:
    assert refused(production, *SUSPEND, "--break-glass", "nhanh") == "no-reason"
    told = "không liên lạc được với ai có khóa"
    code, said = lgsp(production, "registry", "suspend", "agency", "H14.none", *NOTICE, "--break-glass", told)
    assert code == 2 and said["error"]["code"] == "registry.unknown"
    entry = newest(production)  # though the command itself failed
    assert entry["what"] == "break-glass" and entry["facts"] == {"command": "registry suspend", "reason": told}
    assert lgsp(production, *SUSPEND, "--break-glass", told)[0] == 0
    assert newest(production)["actor"].startswith("break-glass: ") and "proof" not in newest(production)
    found = {each["code"]: each["facts"] for each in lgsp(production, "doctor")[1]["findings"]}["persons.break-glass"]
    assert found["count"] == 2 and "+07:00 lgsp registry suspend" in found["acts"]


@pytest.fixture
def founding(tmp_path: Path) -> Iterator[Settings]:
    settings = replace(load(tmp_path / "data", environment={}), kind="production")
    make_instance(settings, {}, time.time(), province=False)
    yield settings


@pytest.mark.attack("acting as another")
def test_an_empty_instance_is_founded_once(founding: Settings, made: Settings, tmp_path: Path) -> None:
    public = (made.identities / people.OPERATOR / "person.pub").read_text()
    document = {
        "agencies": [
            {
                "code": "H14.0",
                "name": {"vi": "Trung tâm", "en": "Centre"},
                "level": "province",
                "roles": ["centre"],
                "contact": {"office": "Tổ vận hành", "phone": "0", "email": "a@b.example"},
            }
        ],
        "people": [
            {
                "id": "lan",
                "agency": "H14.0",
                "name": {"vi": "Lan", "en": "Lan"},
                "role": "operator",
                "key": public,
            }
        ],
    }
    file = tmp_path / "first.yaml"
    file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    assert "persons.none" in {each["code"] for each in lgsp(founding, "doctor")[1]["findings"]}
    assert lgsp(founding, "registry", "apply", str(file))[0] == 0
    assert refused(founding, "registry", "apply", str(file)) == "act.no-person"
    own = ("--as", "lan", "--key", key(made, people.OPERATOR))
    other = (made.identities / people.AUDITOR / "person.pub").read_text()
    document["people"].append(document["people"][0] | {"id": "bao", "key": other})
    file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    changes = lgsp(founding, "registry", "apply", str(file), *own)[1]["changes"]
    assert [(each["what"], each["id"], each["how"]) for each in changes] == [("person", "bao", "proposed")]
    document["people"][0]["role"] = "auditor"
    file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    assert refused(founding, "registry", "apply", str(file), *own) == "officer.other-key"


@pytest.mark.attack("acting as another")
def test_two_officers_admit_a_person(production: Settings, tmp_path: Path) -> None:
    from importlib import resources

    import yaml

    document = yaml.safe_load(resources.files("gateway.sandbox").joinpath("province.yaml").read_bytes())
    private = ec.generate_private_key(ec.SECP256R1())
    mine = tmp_path / "moi.key"
    mine.write_bytes(private_pem(private))
    document["people"].append(document["people"][0] | {"id": "moi", "key": public_pem(private.public_key())})
    file = tmp_path / "document.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    who = ("--as", people.OPERATOR, "--key", key(production, people.OPERATOR))
    assert lgsp(production, "registry", "apply", str(file), *who)[0] == 0
    new = ("--as", "moi", "--key", str(mine))
    assert refused(production, *SUSPEND, *new) == "act.not-in-office"
    for officer in ("can-bo-an-toan-1", "can-bo-an-toan-2"):
        signing = ("--officer", officer, "--key", key(production, officer))
        assert lgsp(production, "access", "approve", "person/moi", *signing)[0] == 0
    assert lgsp(production, *SUSPEND, *new)[0] == 0
    named = lgsp(production, "access", "list")[1]["people"]
    assert ("moi", "operator", "active") in {(each["id"], each["role"], each["state"]) for each in named}
