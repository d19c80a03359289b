"""A registry document that sends data to somebody to whom no two officers sent them; signatures that were given for
something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import granting, notices
from gateway.registry.changes.content import Content, Subject, in_force
from gateway.registry.changes.document import Document
from gateway.registry.changes.proposals import approve, open_proposal, proposals
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.grants import approvals
from security.grants.approvals import public_pem
from security.pki.authority import private_pem
from tests.registry.making import NOW, OFFICERS, PROVINCE, approve_all, filled, province, sign_proposals

ROUTE = Subject("route", "field-report/v1 createRequest")
DESK = Subject("system", "do-thi")
FIRST, SECOND = OFFICERS
Edit = Callable[[dict[str, Any]], None]


def edited(edit: Edit) -> Document:
    raw = yaml.safe_load(PROVINCE)
    edit(raw)
    return province(yaml.safe_dump(raw, allow_unicode=True))


def of(raw: dict[str, Any], part: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in raw[part] if name in (each.get("id"), each.get("code")))
    return found


def fallback(raw: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each for each in raw["routes"] if each["operation"] == "createRequest" and "when" not in each
    )
    return found


def moved(raw: dict[str, Any]) -> None:
    fallback(raw)["system"] = "truong-ha"


def narrowed(raw: dict[str, Any]) -> None:
    raw["routes"].insert(0, {**fallback(raw), "when": {"service_code": ["chieu-sang"]}, "system": "truong-ha"})


def under_another(raw: dict[str, Any]) -> None:
    of(raw, "systems", "do-thi")["agency"] = "H14.21"


def elsewhere(raw: dict[str, Any]) -> None:
    of(raw, "systems", "do-thi")["endpoint"]["url"] = "https://kho.invalid/thu"


def other_kind(raw: dict[str, Any]) -> None:
    of(raw, "systems", "do-thi")["endpoint"]["kind"] = "rest"


def other_format(raw: dict[str, Any]) -> None:
    of(raw, "systems", "do-thi")["formats"] = {}


def other_version(raw: dict[str, Any]) -> None:
    of(raw, "systems", "do-thi")["formats"] = {"field-report/v1": {"format": "do-thi-xml", "version": "newest"}}


def dropped(raw: dict[str, Any]) -> None:
    of(raw, "systems", "so-lieu")["endpoint"]["folder"] = "cua-toi"


def centre(raw: dict[str, Any]) -> None:
    of(raw, "agencies", "H14.21")["roles"] = ["centre"]


def newcomer(raw: dict[str, Any]) -> None:
    raw["agencies"].append({**of(raw, "agencies", "H14.21"), "code": "H14.99", "roles": ["centre"]})


def intruder(raw: dict[str, Any]) -> None:
    """A system under the agency whose data it wants, active by its document, and with a route of its own."""
    desk = of(raw, "systems", "do-thi")
    raw["systems"].append({**desk, "id": "do-thi-2", "state": "active", "endpoint": {**desk["endpoint"]}})
    fallback(raw)["system"] = "do-thi-2"


def own_officers(raw: dict[str, Any]) -> None:
    """Officers of his own, listed beside the others in the document that needs their signatures."""
    for name in OFFICERS:
        own = {**of(raw, "officers", name), "id": f"{name}-ban-sao", "key": public_pem(STOLEN[name].public_key())}
        raw["officers"].append(own)
    moved(raw)


STOLEN = {name: ec.generate_private_key(ec.SECP256R1()) for name in OFFICERS}
EDITS: dict[str, Edit] = {
    "by route": moved,
    "by a condition of a route": narrowed,
    "by a system's agency": under_another,
    "by endpoint": elsewhere,
    "by the kind of an endpoint": other_kind,
    "by format": other_format,
    "by version": other_version,
    "by a drop folder": dropped,
    "by a role of an agency": centre,
    "by a new agency with a role": newcomer,
    "by a new system under another agency": intruder,
    "by officers of his own": own_officers,
}


def contents(connection: Connection) -> dict[Subject, Content]:
    """What is in force, without agencies that may do nothing."""
    return {subject: each for subject, each in in_force(connection).items() if each.get("roles") != []}


def effective(snapshot: Snapshot) -> set[tuple[str, str, str]]:
    """System, agency and address of each system that may call or be called."""
    return {
        (each.id, each.agency, each.endpoint.url if each.endpoint is not None else "")
        for each in snapshot.systems.values()
        if each.active
    }


@pytest.mark.attack("access: a document moves what two officers approved")
@pytest.mark.parametrize("way", EDITS)
def test_a_document_alone_changes_nobody_who_receives(sqlite: Engine, way: str) -> None:
    """Also when it is applied again, and when each officer signs with the other's or a stolen key, or one signs
    twice."""
    filled(sqlite, province(), [])
    document = edited(EDITS[way])
    with writing(sqlite) as connection:
        before, active = contents(connection), effective(load_snapshot(connection))
        for _ in range(2):
            store.apply(document, connection, NOW + 1)
            waiting = proposals(connection, "waiting")
            assert waiting, way
            for subject, proposal in waiting.items():
                body = proposal.body.encode()
                for officer, key in ((FIRST, SECOND), (SECOND, FIRST)):
                    for private in (OFFICERS[key], STOLEN[officer]):
                        with pytest.raises(Failure, match=r"approval\.invalid"):
                            approve(connection, subject, officer, signed(body, officer, private), NOW)
                for name in STOLEN if way == "by officers of his own" else ():
                    mark = signed(body, f"{name}-ban-sao", STOLEN[name])
                    with pytest.raises(Failure, match=r"approval\.not-in-office"):
                        approve(connection, subject, f"{name}-ban-sao", mark, NOW)
                for _ in range(2):
                    approve(connection, subject, FIRST, signed(body, FIRST), NOW)
            assert contents(connection) == before and effective(load_snapshot(connection)) == active, way
        sign_proposals(connection)
        assert contents(connection) != before and not proposals(connection, "waiting"), "two officers may"


def signed(content: bytes, officer: str, key: Any = None) -> str:
    return approvals.approve(content, officer, private_pem(key or OFFICERS[officer]))


@pytest.mark.attack("access: a document moves what two officers approved")
def test_a_proposed_system_is_not_resumed_into_being(database: Engine) -> None:
    filled(database, province(), [])
    with writing(database) as connection:
        store.apply(edited(intruder), connection, NOW + 1)
        with pytest.raises(Failure, match=r"registry\.unknown"):
            notices.resume(connection, "system", "do-thi-2")
        for edit in (lambda raw: None, intruder):  # withdrawn, and proposed anew
            store.apply(edited(edit), connection, NOW + 2)
            with pytest.raises(Failure, match=r"registry\.unknown"):
                store.set_state(connection, "system", "do-thi-2", True)
            assert not load_snapshot(connection).systems["do-thi-2"].active


@pytest.mark.attack("access: signatures given for something else")
def test_old_signatures_do_not_count_for_a_later_proposal(database: Engine) -> None:
    """Withdrawn before the second one came; and replaced after it was in force."""
    filled(database, province(), [])
    with writing(database) as connection:
        before = contents(connection)
        store.apply(edited(moved), connection, NOW + 1)
        old = {name: signed(open_proposal(connection, ROUTE).body.encode(), name) for name in OFFICERS}
        approve(connection, ROUTE, FIRST, old[FIRST], NOW)
        store.apply(province(), connection, NOW + 2)
        with pytest.raises(Failure, match=r"approval\.invalid"):
            approve(connection, ROUTE, SECOND, old[SECOND], NOW)
        store.apply(edited(moved), connection, NOW + 3)
        for name in OFFICERS:
            with pytest.raises(Failure, match=r"approval\.invalid"):
                approve(connection, ROUTE, name, old[name], NOW)
        assert contents(connection) == before
        sign_proposals(connection)
        assert contents(connection)[ROUTE] != before[ROUTE]
        once = [
            each.signature
            for (subject, _), every in granting.approvals(connection).items()
            if subject == str(ROUTE)
            for each in every
        ]
        store.apply(province(), connection, NOW + 4)
        sign_proposals(connection)
        store.apply(edited(moved), connection, NOW + 5)
        for mark in once:
            for name in OFFICERS:
                with pytest.raises(Failure, match=r"approval\.invalid"):
                    approve(connection, ROUTE, name, mark, NOW)
        assert contents(connection) == before


@pytest.mark.attack("access: signatures given for something else")
def test_a_route_whose_system_was_changed_after_signing_is_signed_anew(database: Engine) -> None:
    """The officers sent the reports to a new system of the department; then it is said to be a ward's."""

    def wards(raw: dict[str, Any]) -> None:
        intruder(raw)
        of(raw, "systems", "do-thi-2")["agency"] = "H14.21"

    filled(database, province(), [])
    with writing(database) as connection:
        store.apply(edited(intruder), connection, NOW + 1)
        mark = {name: signed(open_proposal(connection, ROUTE).body.encode(), name) for name in OFFICERS}
        for name in OFFICERS:
            approve(connection, ROUTE, name, mark[name], NOW)
        store.apply(edited(wards), connection, NOW + 2)
        proposal = open_proposal(connection, Subject("system", "do-thi-2"))
        for name in OFFICERS:
            approve(connection, proposal.subject, name, signed(proposal.body.encode(), name), NOW)
        snapshot = load_snapshot(connection)
        assert (
            snapshot.systems["do-thi-2"].active and snapshot.route("field-report/v1", "createRequest", {}) == "do-thi"
        )
        with pytest.raises(Failure, match=r"approval\.invalid"):
            approve(connection, ROUTE, FIRST, mark[FIRST], NOW)


@pytest.mark.attack("access: signatures given for something else")
def test_the_proposer_is_not_one_of_the_two(database: Engine) -> None:
    def proposed(raw: dict[str, Any]) -> None:
        moved(raw)
        raw["proposed_by"] = FIRST

    filled(database, province(), [])
    with writing(database) as connection:
        store.apply(edited(proposed), connection, NOW + 1)
        body = open_proposal(connection, ROUTE).body.encode()
        with pytest.raises(Failure, match=r"approval\.own-proposal"):
            approve(connection, ROUTE, FIRST, signed(body, FIRST), NOW)
        approve(connection, ROUTE, SECOND, signed(body, SECOND), NOW)
        assert load_snapshot(connection).route("field-report/v1", "createRequest", {}) == "do-thi"


@pytest.mark.attack("access: signatures given for something else")
def test_a_signature_for_one_subject_is_none_for_another(database: Engine) -> None:
    filled(database, province(), [])

    def both(raw: dict[str, Any]) -> None:
        moved(raw)
        elsewhere(raw)

    with writing(database) as connection:
        store.apply(edited(both), connection, NOW + 1)
        approve_all(connection, NOW)
        body = open_proposal(connection, DESK).body.encode()
        for name in OFFICERS:
            with pytest.raises(Failure, match=r"approval\.invalid"):
                approve(connection, ROUTE, name, signed(body, name), NOW)
            with pytest.raises(Failure):
                granting.approve_grant(connection, "G-0006", name, signed(body, name), NOW)
