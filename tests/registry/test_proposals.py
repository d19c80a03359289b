"""Content that two officers approve: founded, proposed, withdrawn, waiting for something else, in force, adopted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from sqlalchemy import Connection, Engine, delete, select, update

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import effects
from gateway.registry.changes.content import Subject, in_force
from gateway.registry.changes.dependencies import waits_for
from gateway.registry.changes.officers import set_officer
from gateway.registry.changes.proposals import (
    adopt,
    approve,
    open_proposal,
    proposals,
    settle,
    signed_by,
)
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.records import Change
from gateway.registry.snapshot import load_snapshot
from security.grants import approvals
from security.pki.authority import private_pem
from tests.registry.making import NOW, OFFICERS, PROVINCE, applied, approve_all, filled, province, sign_proposals

ROUTE = Subject("route", "field-report/v1 createRequest")
NEW = Subject("system", "do-thi-2")
FIRST, SECOND = OFFICERS


def with_new(raw: dict[str, Any]) -> None:
    """A second desk of the same department takes the reports."""
    desk = next(each for each in raw["systems"] if each["id"] == "do-thi")
    raw["systems"].append({**desk, "id": "do-thi-2", "endpoint": {**desk["endpoint"]}})
    for each in raw["routes"]:
        if each.get("system") == "do-thi":
            each["system"] = "do-thi-2"


def document(*edits: Callable[[dict[str, Any]], None]) -> Any:
    raw = yaml.safe_load(PROVINCE)
    for edit in edits:
        edit(raw)
    return province(yaml.safe_dump(raw, allow_unicode=True))


def moved(raw: dict[str, Any]) -> None:
    for each in raw["routes"]:
        if each.get("system") == "do-thi":
            each["system"] = "truong-ha"


def sign(connection: Connection, subject: Subject, *officers: str) -> list[str]:
    """What came into force by these signatures."""
    came: list[str] = []
    for name in officers or OFFICERS:
        body = open_proposal(connection, subject).body.encode()
        mark = approvals.approve(body, name, private_pem(OFFICERS[name]))
        came += [each.proposal.subject.path for each in approve(connection, subject, name, mark, NOW)[1]]
    return came


def handles(connection: Connection) -> str | None:
    return load_snapshot(connection).route("field-report/v1", "createRequest", {})


def test_the_first_document_founds_and_the_same_again_proposes_nothing(database: Engine) -> None:
    filled(database, province(), [])
    with writing(database) as connection:
        assert handles(connection) == "do-thi" and not proposals(connection, "waiting")
        founded = proposals(connection, "in-force")
        assert {each.basis for each in founded.values()} == {"founding"}
        assert {subject: each.content for subject, each in founded.items()} == {
            subject: each for subject, each in in_force(connection).items() if each.get("roles") != []
        }
        assert store.apply(province(), connection, NOW + 1) == []


def test_a_first_document_of_agencies_alone_founds_nothing_else(sqlite: Engine) -> None:
    def agencies_alone(raw: dict[str, Any]) -> None:
        for name in ("systems", "routes", "grants", "officers"):
            raw.pop(name)

    from tests.registry.making import bundles, contracts

    with writing(sqlite) as connection:
        for bundle, compiled in zip(bundles(), contracts().values(), strict=True):
            store.publish_bundle(connection, bundle, compiled)
        store.apply(document(agencies_alone), connection, NOW)
        store.apply(province(), connection, NOW)
        assert handles(connection) is None and ROUTE in proposals(connection, "waiting")
        sign_proposals(connection)  # by the officers of the second document, the first ones there are
        assert handles(connection) == "do-thi"


def test_two_signatures_put_it_in_force_and_the_entry_can_say_what_changed(database: Engine) -> None:
    filled(database, province(), [])
    with writing(database) as connection:
        old = open_proposal(connection, ROUTE)
        assert store.apply(document(moved), connection, NOW) == [Change("route", ROUTE.id, "proposed", ("table",))]
        assert sign(connection, ROUTE, FIRST) == [] and handles(connection) == "do-thi"
        body = open_proposal(connection, ROUTE).body.encode()
        mark = approvals.approve(body, SECOND, private_pem(OFFICERS[SECOND]))
        changes, (effect,) = approve(connection, ROUTE, SECOND, mark, NOW)
        assert handles(connection) == "truong-ha"
        assert changes[-1] == effect.change == Change("route", ROUTE.id, "changed", ("table",))
        assert effect.facts() == {
            "subject": str(ROUTE),
            "edition": 2,
            "digest": open_proposal(connection, ROUTE).digest,
            "before": old.digest,
            "proposed_by": None,
            "signed_by": [FIRST, SECOND],
        }
        assert ROUTE.path not in unapproved(connection) and open_proposal(connection, ROUTE).state == "in-force"


def test_names_contacts_and_states_take_effect_at_once(sqlite: Engine) -> None:
    def renamed(raw: dict[str, Any]) -> None:
        desk = next(each for each in raw["systems"] if each["id"] == "do-thi")
        desk["title"] = {"vi": "Tên mới", "en": "A new name"}
        desk["endpoint"]["url"] = "https://kho.invalid/"
        desk["state"] = "suspended"

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(renamed), connection, NOW)
        system = load_snapshot(connection).systems["do-thi"]
        assert system.title.en == "A new name" and system.state == "suspended"
        assert system.endpoint is not None and "kho.invalid" not in system.endpoint.url


def test_a_later_document_withdraws_and_each_proposal_has_its_edition(database: Engine) -> None:
    filled(database, province(), [])
    with writing(database) as connection:
        for edition in (2, 3):
            store.apply(document(moved), connection, NOW)
            assert open_proposal(connection, ROUTE).edition == edition
            sign(connection, ROUTE, FIRST)
            assert store.apply(province(), connection, NOW) == [Change("route", ROUTE.id, "withdrawn")]
            assert open_proposal(connection, ROUTE).state == "in-force"
            assert (
                connection.scalars(
                    select(tables.approval.c.officer).where(
                        tables.approval.c.subject == str(ROUTE), tables.approval.c.voided.is_(None)
                    )
                ).all()
                == []
            )
        assert handles(connection) == "do-thi"


@pytest.mark.parametrize("route_first", [True, False])
def test_a_route_waits_for_its_system(sqlite: Engine, route_first: bool) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(with_new), connection, NOW)
        waiting = proposals(connection, "waiting")
        assert waiting.keys() == {ROUTE, NEW}
        assert waits_for(ROUTE, waiting[ROUTE].content, waiting, in_force(connection)) == [NEW]
        assert not load_snapshot(connection).systems["do-thi-2"].active
        if route_first:
            assert sign(connection, ROUTE) == [] and handles(connection) == "do-thi"
            assert sign(connection, NEW) == [NEW.path, ROUTE.path]
        else:
            assert sign(connection, NEW) == [NEW.path] and handles(connection) == "do-thi"
            assert sign(connection, ROUTE) == [ROUTE.path]
        assert handles(connection) == "do-thi-2" and load_snapshot(connection).systems["do-thi-2"].active
        assert not {ROUTE.path, NEW.path} & {*unapproved(connection)}


def test_a_system_keeps_its_address_until_no_route_needs_it(sqlite: Engine) -> None:
    def retired(raw: dict[str, Any]) -> None:
        moved(raw)
        next(each for each in raw["systems"] if each["id"] == "do-thi").pop("endpoint")

    desk = Subject("system", "do-thi")
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(retired), connection, NOW)
        waiting = proposals(connection, "waiting")
        assert waits_for(desk, waiting[desk].content, waiting, in_force(connection)) == [ROUTE]
        assert sign(connection, desk) == []
        assert load_snapshot(connection).systems["do-thi"].endpoint is not None
        assert sign(connection, ROUTE) == [ROUTE.path, desk.path]
        assert load_snapshot(connection).systems["do-thi"].endpoint is None


def test_a_route_to_the_feed_waits_for_no_system(sqlite: Engine) -> None:
    def by_feed(raw: dict[str, Any]) -> None:
        for each in raw["routes"]:
            if each["contract"] == "indicator/v1":
                each["system"] = "@feed"

    route = Subject("route", "indicator/v1 getValue")
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(by_feed), connection, NOW)
        waits = proposals(connection, "waiting")[route]
        told = effects.compared(connection, load_snapshot(connection), waits, NOW).new
        assert ("@feed", "answers", "") in {(each.system, each.way, each.when) for each in told}, "officers read it"
        assert all("indicator/v1 getValue" in (said := each.say(Words("", ""))).vi and said.en for each in told)
        assert sign(connection, route) == [route.path]
        assert load_snapshot(connection).answers_from_feed("indicator/v1", "getValue")


def test_what_only_restricts_is_at_once_and_its_return_is_not(sqlite: Engine) -> None:
    def without(raw: dict[str, Any]) -> None:
        raw["routes"] = [each for each in raw["routes"] if each["contract"] != "field-report/v1"]

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(moved), connection, NOW)
        assert store.apply(document(without), connection, NOW) == [
            Change("route", ROUTE.id, "withdrawn"),
            Change("route", ROUTE.id, "removed"),
        ]
        assert handles(connection) is None and ROUTE.path not in unapproved(connection)
        store.apply(province(), connection, NOW)
        assert handles(connection) is None
        assert sign(connection, ROUTE) == [ROUTE.path] and handles(connection) == "do-thi"


def test_a_new_agency_is_there_at_once_and_its_roles_are_not(sqlite: Engine) -> None:
    def more(raw: dict[str, Any]) -> None:
        ward = next(each for each in raw["agencies"] if each["code"] == "H14.21")
        raw["agencies"] += [{**ward, "code": "H14.98", "roles": []}, {**ward, "code": "H14.99"}]

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(more), connection, NOW)
        known = load_snapshot(connection).agencies
        assert known["H14.98"].roles == known["H14.99"].roles == ()
        assert [each.path for each in proposals(connection, "waiting")] == ["agency/H14.99"]
        sign_proposals(connection)
        assert load_snapshot(connection).agencies["H14.99"].roles == ("commune",)


def test_a_new_system_takes_the_state_that_its_document_states(sqlite: Engine) -> None:
    def suspended(raw: dict[str, Any]) -> None:
        with_new(raw)
        raw["systems"][-1]["state"] = "suspended"

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(with_new), connection, NOW)
        edition = open_proposal(connection, NEW).edition
        store.apply(document(suspended), connection, NOW)
        assert open_proposal(connection, NEW).edition == edition, "no content changed"
        sign_proposals(connection)
        assert load_snapshot(connection).systems["do-thi-2"].state == "suspended"


def test_what_a_proposal_names_may_be_gone(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(moved), connection, NOW)
        sign(connection, ROUTE, FIRST)
        connection.execute(
            delete(tables.contract_in_force).where(tables.contract_in_force.c.contract == "field-report/v1")
        )
        with pytest.raises(Failure, match=r"proposal\.outdated"):
            sign(connection, ROUTE, SECOND)
        assert settle(connection, NOW) == []


def test_what_was_in_force_before_is_adopted_once_and_can_be_confirmed(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        connection.execute(delete(tables.registry_proposal))  # as an older release left it
        assert unapproved(connection) == []
        assert store.apply(document(moved), connection, NOW) == [Change("route", ROUTE.id, "proposed", ("table",))]
        assert adopt(connection, NOW) == 0
        held = proposals(connection, "in-force")
        assert {each.basis for each in held.values()} == {"adopted"}
        assert held[ROUTE].content["table"][1]["system"] == "do-thi" == handles(connection)
        desk = Subject("system", "do-thi")
        assert sign(connection, desk) == [] and signed_by(connection, open_proposal(connection, desk)) == (
            FIRST,
            SECOND,
        )


def test_edited_rows_are_put_right_by_document_and_signatures(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        connection.execute(update(tables.route).where(tables.route.c.system == "do-thi").values(system="truong-ha"))
        for wanted in (document(moved), province()):  # as it was edited, and as it was
            store.apply(wanted, connection, NOW)
            assert ROUTE.path in [each.path for each in proposals(connection, "waiting")]
        sign_proposals(connection)
        assert handles(connection) == "do-thi"


def test_signatures_of_a_revoked_officer_do_not_count(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(moved), connection, NOW)
        sign(connection, ROUTE, FIRST)
        set_officer(connection, FIRST, "revoked", NOW)
        assert sign(connection, ROUTE, SECOND) == [] and handles(connection) == "do-thi"


def test_a_settled_version_does_not_make_another_proposal(sqlite: Engine) -> None:
    """The document names the format alone; its minor version was settled when it was proposed."""

    def speaks(raw: dict[str, Any]) -> None:
        next(each for each in raw["systems"] if each["id"] == "y-te")["formats"] = {"indicator/v1": "kinh-te-json"}
        for each in raw["grants"]:
            each["fields"] = ["*"] if "fields" in each else each.get("fields", ["*"])

    filled(sqlite, province(), [])
    subject = Subject("system", "y-te")
    with writing(sqlite) as connection:
        store.apply(document(speaks), connection, NOW)
        first = open_proposal(connection, subject)
        table = tables.registry_proposal
        body = first.body.replace('"versions":{"indicator/v1":"1.', '"versions":{"indicator/v1":"0.')
        connection.execute(update(table).where(table.c.subject == str(subject)).values(body=body))
        store.apply(document(speaks), connection, NOW)
        assert open_proposal(connection, subject).edition == first.edition


# --- what officers read -----------------------------------------------------------------------------------------------
def test_the_words_say_who_receives_which_fields_by_which_grant(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        approve_all(connection)
        store.apply(document(moved), connection, NOW)
        snapshot = load_snapshot(connection)
        effect = effects.compared(connection, snapshot, open_proposal(connection, ROUTE), NOW)
        (new,), (gone,) = effect.new, effect.gone
        assert (new.agency, new.system, new.way, new.grants) == ("H14.22", "truong-ha", "receives", ("G-0013",))
        assert (gone.agency, gone.system, gone.grants) == ("H14.3", "do-thi", ("G-0012",))
        assert "phone [basic]" in new.shown and gone.form == "do-thi-xml" and new.where.startswith("https://")
        (change,) = effect.changes
        assert change[0] == "table" and change[1][1]["system"] == "do-thi" and change[2][1]["system"] == "truong-ha"
        said = new.say(snapshot.agencies["H14.22"].name)
        for text in (said.vi, said.en):
            assert all(each in text for each in ("truong-ha", "field-report/v1", "createRequest", "G-0013")), text


def test_the_words_say_that_no_grant_lets_it_receive(sqlite: Engine) -> None:
    def under_another(raw: dict[str, Any]) -> None:
        next(each for each in raw["systems"] if each["id"] == "do-thi")["agency"] = "H14.7"

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        store.apply(document(under_another), connection, NOW)
        snapshot, proposal = load_snapshot(connection), open_proposal(connection, Subject("system", "do-thi"))
        effect = effects.compared(connection, snapshot, proposal, NOW)
        received = [each for each in effect.new if each.way == "receives"]
        assert [(each.agency, each.grants, each.shown) for each in received] == [("H14.7", (), ())]
        assert "no receiving grant" in received[0].say(snapshot.agencies["H14.7"].name).en
        assert any(each.way in ("asks", "reads") and each.agency == "H14.7" for each in effect.new), effect.new


def test_the_words_say_what_a_role_brings(sqlite: Engine) -> None:
    def centre(raw: dict[str, Any]) -> None:
        next(each for each in raw["agencies"] if each["code"] == "H14.21")["roles"] = ["commune", "centre"]

    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        approve_all(connection)
        store.apply(document(centre), connection, NOW)
        proposal = open_proposal(connection, Subject("agency", "H14.21"))
        effect = effects.compared(connection, load_snapshot(connection), proposal, NOW)
        assert {"reads"} <= {each.way for each in effect.new} and not effect.gone


def test_the_helper_of_the_tests_signs_all(sqlite: Engine) -> None:
    filled(sqlite, province(), [])
    with writing(sqlite) as connection:
        assert {each.proposal.subject for each in applied(document(with_new), connection)} == {NEW, ROUTE}
        assert handles(connection) == "do-thi-2"
