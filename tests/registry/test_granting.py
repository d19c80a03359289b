"""Proposed, signed, changed, given up: what makes a grant hold, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml
from alembic import command
from alembic.config import Config
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import Connection, Engine, select, text, update

from contracts.base.errors import Theirs
from contracts.base.words import Words
from gateway.journal.database import migrate, writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting, notices
from gateway.registry.changes.document import parse
from gateway.registry.changes.notices import Notice
from gateway.registry.changes.officers import officers
from gateway.registry.records import Change
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.grants.approvals import approve, public_pem
from security.grants.grants import Reason, digest
from security.pki.authority import private_pem
from tests.registry.making import ENDPOINTS, NOW, OFFICERS, PROVINCE, contracts, filled, province

FIRST, SECOND = OFFICERS
THIRD = ed25519.Ed25519PrivateKey.generate()
GETS = ("H14.7", "indicator/v1", "getValue", NOW)  # by G-0006


def snapshot_of(engine: Engine) -> Snapshot:
    with engine.connect() as connection:
        return load_snapshot(connection)


def signed(connection: Connection, name: str, officer: str, key: Any = None) -> str:
    return approve(granting.content_of(connection, name).canonical(), officer, private_pem(key or OFFICERS[officer]))


def document(change: Callable[[dict[str, Any]], None]) -> str:
    raw = yaml.safe_load(PROVINCE)
    change(raw)
    return yaml.safe_dump(raw, allow_unicode=True)


def apply(engine: Engine, change: Callable[[dict[str, Any]], None], **fill: str) -> list[Change]:
    with writing(engine) as connection:
        return store.apply(parse(document(change), contracts(), {**ENDPOINTS, **fill}), connection, NOW + 1)


def grant_of(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in raw["grants"] if each["id"] == name)
    return found


def test_a_document_only_proposes_and_two_signatures_make_it_hold(database: Engine) -> None:
    with writing(database) as connection:
        filled_without_approvals(connection)
    assert snapshot_of(database).decide(*GETS).reason is Reason.NOT_APPROVED
    for officer, reason in ((FIRST, Reason.NOT_APPROVED), (FIRST, Reason.NOT_APPROVED), (SECOND, Reason.GRANTED)):
        with writing(database) as connection:
            granting.approve_grant(connection, "G-0006", officer, signed(connection, "G-0006", officer), NOW)
        assert snapshot_of(database).decide(*GETS).reason is reason


def filled_without_approvals(connection: Connection) -> None:
    from tests.registry.making import bundles

    for bundle, compiled in zip(bundles(), contracts().values(), strict=True):
        store.publish_bundle(connection, bundle, compiled)
    store.apply(province(), connection, NOW)


def test_a_changed_grant_has_lost_its_approvals_for_good(database: Engine) -> None:
    filled(database, province(), [])
    with writing(database) as connection:
        old = [
            (row.officer, row.signature)
            for row in connection.execute(select(tables.approval).where(tables.approval.c.subject == "grant G-0006"))
        ]
        stands = granting.content_of(connection, "G-0006")
        assert old and granting.ends(connection, replace(stands, fields=("*",)))
    changes = apply(database, lambda raw: grant_of(raw, "G-0006").update(fields=["*"]))
    assert Change("grant", "G-0006", "changed", ("fields",)) in changes
    with database.connect() as connection:  # a proposal that nobody signed is corrected freely
        assert not granting.ends(connection, stands)
    assert snapshot_of(database).decide(*GETS).reason is Reason.NOT_APPROVED
    with writing(database) as connection:
        with pytest.raises(Theirs) as caught:  # signatures over the old content do not fit the new one
            granting.approve_grant(connection, "G-0006", *old[0], NOW)
        assert caught.value.code == "approval.invalid"
    apply(database, lambda raw: None)  # the old content again, by whoever may write documents
    assert snapshot_of(database).decide(*GETS).reason is Reason.NOT_APPROVED
    with writing(database) as connection:
        with pytest.raises(Theirs) as caught:  # nor do they come back with it
            granting.approve_grant(connection, "G-0006", *old[0], NOW)
        assert caught.value.code == "approval.given-up"
    apply(database, lambda raw: grant_of(raw, "G-0006").update(edition=2))
    with writing(database) as connection:
        for officer in OFFICERS:
            granting.approve_grant(connection, "G-0006", officer, signed(connection, "G-0006", officer), NOW)
    assert snapshot_of(database).decide(*GETS).allowed


@pytest.mark.parametrize(
    "body",
    [
        {"fields": ["*"]},
        {"agency": "H14.21"},
        {"quota": {"calls": 9, "per": "day"}},
        {"purpose": "khác"},
        {"contract": "field-report/v1"},
    ],
)
def test_a_row_that_was_changed_in_the_database_holds_no_longer(database: Engine, body: dict[str, Any]) -> None:
    filled(database, province(), [])
    table = tables.access_grant
    with writing(database) as connection:
        old = json.loads(connection.scalar(select(table.c.body).where(table.c.id == "G-0006")) or "")
        connection.execute(update(table).where(table.c.id == "G-0006").values(body=json.dumps(old | body)))
    assert not snapshot_of(database).decide(*GETS).allowed
    assert not snapshot_of(database).decide("H14.21", "indicator/v1", "getValue", NOW).allowed


def test_two_names_typed_into_a_document_approve_nothing(database: Engine) -> None:
    """Neither as names, nor with signatures that are not theirs, nor with officers that one makes oneself."""
    filled(database, province(), [])
    with pytest.raises(Theirs) as caught:
        apply(database, lambda raw: grant_of(raw, "G-0006").update(fields=["*"], approved_by=[FIRST, SECOND]))
    assert [(each.here, each.rule) for each in caught.value.findings] == [("grants[5].approved_by", "unknown")]
    forged = approve(b"{}", FIRST, private_pem(THIRD))
    approvals = [{"officer": FIRST, "signature": forged}]
    with pytest.raises(Theirs) as caught:
        apply(database, lambda raw: grant_of(raw, "G-0006").update(fields=["*"], approvals=approvals))
    assert caught.value.code == "approval.invalid"

    def own_officer(raw: dict[str, Any]) -> None:
        raw["officers"].append(third())
        grant = grant_of(raw, "G-0006")
        grant["fields"] = ["*"]
        proposal = next(
            each for each in parse(yaml.safe_dump(raw), contracts(), ENDPOINTS).grants if each.grant.id == "G-0006"
        )
        grant["approvals"] = [
            {"officer": "can-bo-3", "signature": approve(proposal.grant.canonical(), "can-bo-3", private_pem(THIRD))}
        ]

    with pytest.raises(Theirs) as caught:
        apply(database, own_officer)
    assert caught.value.code == "approval.not-in-office"
    assert snapshot_of(database).decide(*GETS).views == (("*", "!responsible"),), "nothing of any of it was applied"


def test_a_document_may_carry_signatures(database: Engine) -> None:
    filled(database, province(), [])

    def wider(raw: dict[str, Any]) -> None:
        grant = grant_of(raw, "G-0006")
        grant["fields"] = ["*"]
        proposal = next(
            each for each in parse(yaml.safe_dump(raw), contracts(), ENDPOINTS).grants if each.grant.id == "G-0006"
        )
        grant["approvals"] = [
            {"officer": name, "signature": approve(proposal.grant.canonical(), name, private_pem(key))}
            for name, key in OFFICERS.items()
        ]

    changes = apply(database, wider)
    assert [each.how for each in changes if each.id == "G-0006"] == ["changed", "approved", "approved"]
    assert snapshot_of(database).decide(*GETS).views == (("*",),)
    assert apply(database, wider) == []


def third() -> dict[str, Any]:
    office = {"vi": "Cán bộ pháp chế", "en": "Legal officer"}
    return {"id": "can-bo-3", "agency": "H14.0", "name": office, "key": public_pem(THIRD.public_key())}


def test_only_officers_make_officers(database: Engine) -> None:
    filled(database, province(), [])
    assert [each.how for each in apply(database, lambda raw: raw["officers"].append(third()))] == ["proposed"]
    with writing(database) as connection:
        content = officers(connection)["can-bo-3"].content()
        own = approve(content, "can-bo-3", private_pem(THIRD))
        for officer, mark, code in (("can-bo-3", own, "approval.not-in-office"), (FIRST, own, "approval.invalid")):
            with pytest.raises(Theirs) as caught:
                granting.approve_officer(connection, "can-bo-3", officer, mark, NOW)
            assert caught.value.code == code
        for number, name in enumerate(OFFICERS):
            assert officers(connection)["can-bo-3"].state == "proposed", number
            granting.approve_officer(
                connection, "can-bo-3", name, approve(content, name, private_pem(OFFICERS[name])), NOW
            )
        assert officers(connection)["can-bo-3"].state == "active"


def test_who_leaves_leaves_for_good(database: Engine) -> None:
    filled(database, province(), [])

    def without_first(raw: dict[str, Any]) -> None:
        raw["officers"] = raw["officers"][1:]

    def revoked(raw: dict[str, Any]) -> None:
        raw["officers"][0]["state"] = "revoked"

    assert apply(database, without_first)[0] == Change("officer", FIRST, "retired", ("state",))
    assert snapshot_of(database).decide(*GETS).allowed, "what was signed in office stands"
    assert apply(database, lambda raw: None) == [], "listed again is not in office again"
    assert apply(database, revoked) == [Change("officer", FIRST, "revoked", ("state",))]
    assert snapshot_of(database).decide(*GETS).reason is Reason.NOT_APPROVED, (
        "of a key that others may have, nothing counts"
    )
    with pytest.raises(Theirs) as caught:
        apply(database, lambda raw: None, **{FIRST: public_pem(THIRD.public_key())})
    assert caught.value.code == "officer.other-key"


def test_what_was_proposed_by_itself_outlives_documents_until_it_is_revoked(database: Engine) -> None:
    filled(database, province(), [])
    proposal = next(
        each
        for each in province(document(lambda raw: grant_of(raw, "G-0006").update(id="G-9"))).grants
        if each.grant.id == "G-9"
    )
    with writing(database) as connection:
        granting.propose(connection, proposal, NOW)
        assert store.apply(province(), connection, NOW) == []
        assert granting.revoke(connection, "G-9", NOW) == [Change("grant", "G-9", "revoked", ("state",))]
        acts: tuple[Callable[[], object], ...] = (
            lambda: granting.revoke(connection, "G-9", NOW),
            lambda: store.set_state(connection, "grant", "G-9", True),
            lambda: granting.approve_grant(connection, "G-9", FIRST, "", NOW),
        )
        for act in acts:
            with pytest.raises(Theirs) as caught:
                act()
            assert caught.value.code == "grant.revoked"
    assert "G-9" not in {grant.id for grant in snapshot_of(database).grants("H14.7")}


def test_suspended_with_notice(database: Engine) -> None:
    filled(database, province(), [])
    why = Words("Nghi lộ khóa.", "A key may have leaked.")
    with writing(database) as connection:
        assert notices.suspend(connection, "system", "y-te", Notice(why, NOW, NOW + 3600))[0].how == "suspended"
        assert notices.suspend(connection, "grant", "G-0006", Notice(why, NOW))[0].how == "suspended"
    snapshot = snapshot_of(database)
    told = snapshot.suspension(snapshot.systems["y-te"])
    assert (told.code, told.status) == ("channel.suspended", 403)
    assert (
        "Nghi lộ khóa." in told.what("vi")
        and "2026-11-24T14:00+07:00" in told.what("vi")
        and "15:00+07:00" in told.what("en")
    )
    assert "Tổ vận hành trục liên thông, 0206 000 0000" in told.next("vi")
    decision = snapshot.decide(*GETS)
    refused = snapshot.refusal(decision, "H14.7", snapshot.contracts["indicator/v1"].contract, "getValue", NOW)
    assert refused.code == "access.suspended" and "A key may have leaked." in refused.what("en")
    with writing(database) as connection:
        again = notices.suspend(connection, "system", "y-te", Notice(Words("Khác", "Other"), NOW + 60))
        assert again == [Change("system", "y-te", "changed", ("reason", "until"))]
        notice = notices.notices(connection)[("system", "y-te")]
        assert notice.since == NOW and notice.until is None, "since it began; no end is one later than any"
        for standing, sooner in ((None, NOW + 9_000), (NOW + 2_000, NOW + 1_000)):
            notices.suspend(connection, "system", "y-te", Notice(why, NOW, standing), shorten=True)
            with pytest.raises(Theirs) as shorter:
                notices.suspend(connection, "system", "y-te", Notice(why, NOW, sooner))
            assert shorter.value.code == "registry.suspended-longer" and "hệ thống y-te" in shorter.value.what("vi")
            assert notices.notices(connection)[("system", "y-te")].until == standing
        notices.suspend(connection, "system", "y-te", Notice(why, NOW, NOW + 3_000))
        assert notices.notices(connection)[("system", "y-te")].until == NOW + 3_000, "later needs no word"
        for what, name in (("system", "y-te"), ("grant", "G-0006")):
            assert notices.resume(connection, what, name)[0].how == "resumed"  # type: ignore[arg-type]
        assert notices.notices(connection) == {} and notices.resume(connection, "system", "y-te") == []
        with pytest.raises(Theirs):
            notices.suspend(connection, "agency", "H99", Notice(why, NOW))
    assert snapshot_of(database).decide(*GETS).allowed


def test_grants_from_before_are_proposals_after_the_migration(database: Engine) -> None:
    old = {
        "id": "G-1",
        "agency": "H14.7",
        "role": None,
        "contract": "indicator/v1",
        "operations": ["getValue"],
        "fields": ["*"],
        "purpose": "Điều hành",
        "legal_basis": "QĐ 451",
        "valid_from": 1_767_200_400.0,
        "valid_until": 1_924_966_800.0,
        "approved_by": ["a", "b"],
        "denies": False,
        "state": "active",
    }
    moved(database, "0003")
    with writing(database) as connection:
        values = {"body": json.dumps(old), "state": "suspended"}
        connection.execute(text("insert into access_grant (id, body, state) values ('G-1', :body, :state)"), values)
    migrate(database)
    with writing(database) as connection:
        (grant,) = granting.grants(connection, {})
        body = connection.scalar(select(tables.access_grant.c.body)) or ""
    assert (grant.valid_from, grant.valid_until, grant.state, grant.approved_by) == (
        1_767_200_400.0,
        1_924_966_800.0,
        "suspended",
        (),
    )
    assert body.encode() == grant.canonical() and digest(grant.canonical())


def moved(engine: Engine, revision: str) -> None:
    from importlib import resources

    with resources.as_file(resources.files("gateway.journal") / "migrations") as folder, writing(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
