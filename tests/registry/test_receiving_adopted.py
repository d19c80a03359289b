"""An instance of an older release, whose routes needed no grants: what its first start makes of them, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Connection, Engine, delete, insert, select, update

from contracts.base import jcs
from contracts.base.errors import Failure
from gateway.audit.verify.registered import check_registered
from gateway.journal.database import migrate, open_engine, snapshot, writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.adopting import KEY, adopt_receiving
from gateway.registry.receiving import receive
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.sandbox.instance import make_instance
from gateway.settings import Settings
from security.grants.approvals import approve
from security.grants.grants import TO_CONFIRM, Decision, Grant, Reason
from security.pki.authority import private_pem
from security.transparency.merkle import leaf_hash
from tests.journal import databases
from tests.registry.making import NOW, OFFICERS, PROVINCE, approve_all, contracts, province

REPORT, CREATE = "field-report/v1", "createRequest"
UPGRADED = NOW + 1000
LATER = UPGRADED + TO_CONFIRM
ROUTED = (REPORT, "indicator/v1", "dossier-status/v1")  # by that release
ADOPTED = ["adopted-1", "adopted-2", "adopted-3", "adopted-4"]


def of_older_release() -> str:
    document = yaml.safe_load(PROVINCE)
    document["grants"] = [each for each in document["grants"] if not each.get("receives")]
    document["routes"] = [each for each in document["routes"] if "system" in each and each["contract"] in ROUTED]
    for each in document["routes"]:  # that release knew no agencies of routes
        for name in ("agency", "hours", "outside"):
            each.pop(name, None)
    del document["people"]
    return yaml.safe_dump(document, allow_unicode=True)


@dataclass(frozen=True)
class Old:
    settings: Settings
    engine: Engine

    @property
    def seal(self) -> Seal:
        return Seal.of(self.settings)

    def start(self, now: float = UPGRADED) -> list[str]:
        """As `lgsp up` starts it."""
        migrate(self.engine)
        return adopt_receiving(self.engine, self.seal, now)

    def snapshot(self) -> Snapshot:
        with self.engine.connect() as connection:
            self.seal.check(connection)
            return load_snapshot(connection)

    def decide(self, now: float, agency: str = "H14.3", contract: str = REPORT, operation: str = CREATE) -> Decision:
        return self.snapshot().decide_receiving(agency, contract, operation, now)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    settings = replace(Settings(tmp_path / "data"), kind="production", origin="localhost/lgsp-old")
    monkeypatch.setattr("gateway.sandbox.instance.GRANTED", "")  # an older release said nothing of receiving
    make_instance(settings, {}, NOW, province=False)
    made = Old(settings, open_engine(settings.database_url))
    with changing(made.engine, made.seal) as act:
        store.apply(province(of_older_release()), act.connection, NOW)
        approve_all(act.connection)
        act.connection.execute(delete(tables.registry_proposal))  # an older release knew none
        act.note("registry", {}, NOW)
    with writing(made.engine) as connection:
        without_history(connection)
        databases.downgrade(connection, "0008")
    yield made
    made.engine.dispose()


def without_history(connection: Connection) -> None:
    """The entries as an older release wrote them: it kept no history of the registry."""
    table = tables.log_pending
    for id, entry in connection.execute(select(table.c.id, table.c.entry)).all():
        value = json.loads(bytes(entry))
        value["facts"].get("registry", {}).pop("history", None)
        raw = jcs.encode(value)
        connection.execute(update(table).where(table.c.id == id).values(entry=raw, leaf=leaf_hash(raw)))


def test_its_routes_become_grants_at_the_first_start_and_only_then(old: Old) -> None:
    assert old.start() == ADOPTED
    held = old.snapshot()
    assert {
        (grant.agency, grant.contract, grant.operations, grant.fields, grant.approved_by)
        for code in held.agencies
        for grant in held.grants(code)
        if grant.adopted
    } == {
        ("H14.3", REPORT, (CREATE,), ("*",), ()),
        ("H14.22", REPORT, (CREATE,), ("*",), ()),
        ("H14.4", "indicator/v1", ("getValue",), ("*",), ()),
        ("H14.5", "dossier-status/v1", ("getStatus",), ("*",), ()),
    }
    assert old.decide(UPGRADED).allowed, "it goes on running"
    assert old.start(UPGRADED + 60) == [] and old.snapshot().revision == held.revision
    with snapshot(old.engine) as connection:
        assert not check_registered(connection, old.seal).wrong
        stands = granting.content_of(connection, ADOPTED[0])
        assert granting.ends(connection, replace(stands, purpose="x")), "in force, though nobody signed it"
        assert not granting.ends(connection, stands)
        table = tables.log_pending.c
        entry = connection.scalar(select(table.entry).where(table.phase == "receiving-adopted"))
        assert entry is not None
        facts = json.loads(bytes(entry))["facts"]
    assert facts["grants"] == ADOPTED and facts["registry"]["seal"] and facts["confirm_until"]


def test_what_shows_personal_fields_stops_after_thirty_days_and_the_rest_is_marked(old: Old) -> None:
    old.start()
    assert old.decide(LATER - 1).allowed
    personal, plain = old.decide(LATER), old.decide(LATER, "H14.4", "indicator/v1", "getValue")
    assert (personal.reason, personal.nearest and personal.nearest.agency) == (Reason.NOT_CONFIRMED, "H14.3")
    assert plain.allowed
    held, compiled = old.snapshot(), contracts()["indicator/v1"]
    operation = compiled.contract.operations["getValue"]
    before = receive(held, held.systems["kinh-te"], compiled, operation, LATER - 1)
    after = receive(held, held.systems["kinh-te"], compiled, operation, LATER)
    assert (before.grants, before.overdue) == (after.grants, ()) and after.overdue == after.grants
    with pytest.raises(Failure, match=r"route\.not-granted") as refused:
        report = contracts()[REPORT]
        receive(held, held.systems["do-thi"], report, report.contract.operations[CREATE], LATER)
    for language in ("vi", "en"):
        assert personal.nearest is not None and personal.nearest.id in refused.value.what(language)


def test_two_officers_make_it_an_ordinary_grant(old: Old) -> None:
    (name, *_) = old.start()
    for number, (officer, key) in enumerate(OFFICERS.items(), 1):
        with changing(old.engine, old.seal) as act:
            content = granting.content_of(act.connection, name).canonical()
            mark = approve(content, officer, private_pem(key))
            changes = granting.approve_grant(act.connection, name, officer, mark, UPGRADED)
            act.note("access", {"changes": len(changes)}, UPGRADED)
        holder = next(each for each in old.snapshot().agencies if name in _names(old, each))
        assert old.decide(LATER, holder).allowed is (number == 2)
    assert _names(old, holder)[name].confirmed and not _names(old, holder)[name].overdue(LATER)


def _names(old: Old, agency: str) -> dict[str, Grant]:
    return {grant.id: grant for grant in old.snapshot().grants(agency) if grant.receives}


def test_a_newer_version_that_marks_a_field_counts(old: Old) -> None:
    """The row says that it shows nothing personal; the contract in force knows better."""
    old.start()
    with changing(old.engine, old.seal) as act:
        table = tables.access_grant
        act.connection.execute(table.update().where(table.c.source == "adopted-personal").values(source="adopted"))
        act.note("access", {}, UPGRADED)
    assert old.decide(LATER).reason is Reason.NOT_CONFIRMED


@pytest.mark.attack("receiving without a grant")
def test_nobody_brings_about_a_second_adoption(old: Old) -> None:
    """An insider sets the mark of an older release again, after officers revoked what was adopted."""
    for name in old.start():
        with changing(old.engine, old.seal) as act:
            granting.revoke(act.connection, name, UPGRADED)
            act.note("access", {}, UPGRADED)
    with writing(old.engine) as inside:
        inside.execute(insert(tables.instance).values(key=KEY, value="due"))
    assert old.start(UPGRADED + 60) == [] and not old.decide(UPGRADED + 60).allowed
    with changing(old.engine, old.seal) as act:  # even where no row tells of it any more
        act.connection.execute(delete(tables.access_grant).where(tables.access_grant.c.id.in_(ADOPTED)))
        act.note("access", {}, UPGRADED)
    with writing(old.engine) as inside:
        inside.execute(insert(tables.instance).values(key=KEY, value="due"))
    assert old.start(UPGRADED + 120) == []


def test_an_instance_of_this_release_adopts_nothing(tmp_path: Path) -> None:
    settings = replace(Settings(tmp_path / "data"), kind="production", origin="localhost/lgsp-new")
    make_instance(settings, {}, NOW, province=False)
    new = Old(settings, open_engine(settings.database_url))
    with changing(new.engine, new.seal) as act:
        store.apply(province(of_older_release()), act.connection, NOW)
        approve_all(act.connection)
        act.note("registry", {}, NOW)
    assert new.start() == []
    with writing(new.engine) as inside:
        inside.execute(insert(tables.instance).values(key=KEY, value="due"))
    assert new.start() == [] and not new.decide(UPGRADED).allowed
    new.engine.dispose()


def test_the_migration_marks_no_database_without_routes(sqlite: Engine) -> None:
    with writing(sqlite) as connection:
        databases.downgrade(connection, "0008")
    migrate(sqlite)
    with sqlite.connect() as connection:
        assert connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY)) is None
