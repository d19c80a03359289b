"""Applying, publishing, enrolling; snapshots of what stands; and that processes see changes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Connection, Engine, event

from contracts.base.errors import Failure, Ours, Policy, Theirs
from gateway.journal.database import writing
from gateway.registry import store, versions
from gateway.registry.changes import proposals
from gateway.registry.changes.document import Document
from gateway.registry.records import Change
from gateway.registry.registry import POLL_SECONDS, Registry
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.algorithms import new_private
from security.pki.authority import issue_encryption
from tests.registry.making import (
    NOW,
    PROVINCE,
    House,
    bundles,
    contracts,
    filled,
    new_database,
    province,
    sign_proposals,
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.make(tmp_path_factory.mktemp("keys"), NOW)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return new_database(tmp_path)


def snapshot_of(engine: Engine, before: Snapshot | None = None) -> Snapshot:
    with engine.connect() as connection:
        return load_snapshot(connection, before)


def test_an_empty_registry_is_a_snapshot_too(engine: Engine) -> None:
    snapshot = snapshot_of(engine)
    assert snapshot.revision == 0
    assert snapshot.system("canh-bao") is None and snapshot.key("x") is None
    assert snapshot.rest_operation("GET", "/indicator/v1/values") is None


def test_round_trip(engine: Engine, house: House) -> None:
    identity = house.identity("do-thi", NOW)
    filled(engine, province(), [identity])
    snapshot = snapshot_of(engine)
    document = province()
    assert {agency.code: agency for agency in document.agencies} == dict(snapshot.agencies)
    system = snapshot.system("do-thi")
    assert system is not None and system.endpoint is not None and system.active
    assert system.formats == {"field-report/v1": "do-thi-xml"} and system.name == "H14.3/do-thi"
    assert list(system.endpoint.keys_by_id) == ["do-thi.sign-1"]
    dropping = snapshot.system("so-lieu")
    assert dropping is not None and dropping.endpoint is None
    assert dropping.drop == next(each.drop for each in document.systems if each.id == "so-lieu")
    found = snapshot.key("do-thi.sign-1")
    assert found is not None and found.system == "do-thi"
    assert snapshot.key_by_thumbprint(found.thumbprint) is found
    assert snapshot.key_by_thumbprint(identity.tls_thumbprint) is None  # a TLS key signs nothing
    tls = snapshot.tls_key(identity.tls_thumbprint)
    assert tls is not None and tls.system == "do-thi" and tls.in_force(NOW) and not tls.in_force(NOW + 100 * 86400)
    centre = ("G-0004", "G-0005", "G-0008", "G-0011", "G-0016", "G-0027", "G-0028", "G-0032", "G-0034")
    assert {grant.id for grant in snapshot.grants("H14.0")} == {*centre}
    assert not list(snapshot.grants("H14.21"))
    assert set(snapshot.contracts) == set(contracts())


def test_look_ups_by_address(engine: Engine) -> None:
    filled(engine, province(), [])
    snapshot = snapshot_of(engine)
    found = snapshot.rest_operation("POST", "/incident-alert/v1/alerts")
    assert found is not None and found[0].contract.id == "incident-alert" and found[1].name == "submitAlert"
    assert snapshot.rest_operation("GET", "/incident-alert/v1/alerts") is None
    assert snapshot.rest_methods("/incident-alert/v1/alerts") == {"POST"}
    assert snapshot.rest_methods("/incident-alert/v1/other") == frozenset()
    assert (
        snapshot.names_contract("/indicator/v9/x")
        and not snapshot.names_contract("/feeds/indicator/v1")
        and not snapshot.names_contract("*")
    )


def test_routing_by_area_with_fallback(engine: Engine) -> None:
    filled(engine, province(), [])
    snapshot = snapshot_of(engine)
    assert snapshot.route("field-report/v1", "createRequest", {"area": "01392"}) == "truong-ha"
    assert snapshot.route("field-report/v1", "createRequest", {"area": "01273"}) == "do-thi"
    assert snapshot.route("field-report/v1", "createRequest", {}) == "do-thi"
    assert snapshot.route("incident-alert/v1", "submitAlert", {}) == "", "agencies alone"
    assert snapshot.route("incident-alert/v1", "none", {}) is None


def test_applying_again_changes_nothing(engine: Engine) -> None:
    filled(engine, province(), [])
    before = snapshot_of(engine).revision
    with writing(engine) as connection:
        assert store.apply(province(), connection, NOW + 1) == []
    assert snapshot_of(engine).revision == before


def test_a_change_is_named_and_raises_the_revision(engine: Engine) -> None:
    filled(engine, province(), [])
    before = snapshot_of(engine)
    text = (
        PROVINCE.replace("0206 000 0002", "0206 000 9999")
        .replace('["*", "!responsible"]', '["*"]')
        .replace('"01392"', '"01414"')
    )
    with writing(engine) as connection:
        changes = store.apply(province(text), connection, NOW + 1)
    assert changes == [
        Change("agency", "H14.2", "changed", ("contact",)),
        Change("grant", "G-0006", "changed", ("fields",)),
        Change("route", "field-report/v1 createRequest", "proposed", ("table",)),
    ]
    after = snapshot_of(engine, before)
    assert after.revision == before.revision + 1
    assert after.route("field-report/v1", "createRequest", {"area": "01414"}) == "do-thi"
    with writing(engine) as connection:
        (effect,) = sign_proposals(connection)
    assert effect.change == Change("route", "field-report/v1 createRequest", "changed", ("table",))
    after = snapshot_of(engine, before)
    assert after.route("field-report/v1", "createRequest", {"area": "01414"}) == "truong-ha"
    assert after.contracts["indicator/v1"] is before.contracts["indicator/v1"]  # not compiled anew


def test_what_the_document_drops_is_gone_or_suspended(engine: Engine) -> None:
    filled(engine, province(), [])
    cut = PROVINCE[: PROVINCE.index("  - id: G-0006")].replace("  - id: thuc-phan", "  - id: thuc-phan-2")
    with writing(engine) as connection:
        changes = store.apply(province(cut), connection, NOW)
    assert Change("grant", "G-0006", "removed") in changes
    assert Change("system", "thuc-phan", "suspended", ("state",)) in changes
    snapshot = snapshot_of(engine)
    assert snapshot.grants("H14.7") == ()
    old = snapshot.system("thuc-phan")
    assert old is not None and not old.active


def test_a_suspension_outlives_the_document(engine: Engine) -> None:
    filled(engine, province(), [])
    with writing(engine) as connection:
        assert store.set_state(connection, "agency", "H14.2", False) == [
            Change("agency", "H14.2", "suspended", ("state",))
        ]
        assert store.set_state(connection, "agency", "H14.2", False) == []
    with writing(engine) as connection:
        assert store.apply(province(), connection, NOW) == []
    system = snapshot_of(engine).system("canh-bao")
    assert system is not None and system.state == "active" and not system.active
    with writing(engine) as connection:
        changes = store.apply(
            province(PROVINCE.replace("code: H14.2\n", "code: H14.2\n    state: active\n")), connection, NOW
        )
    assert changes == [Change("agency", "H14.2", "resumed", ("state",))]


def test_a_suspended_grant_refuses_with_its_reason(engine: Engine) -> None:
    filled(engine, province(), [])
    assert snapshot_of(engine).decide("H14.2", "incident-alert/v1", "submitAlert", NOW).allowed
    with writing(engine) as connection:
        store.set_state(connection, "grant", "G-0001", False)
    decision = snapshot_of(engine).decide("H14.2", "incident-alert/v1", "submitAlert", NOW)
    assert not decision.allowed and decision.reason == "suspended" and decision.nearest is not None


def test_publishing_is_by_digest(engine: Engine) -> None:
    bundle = bundles()[0]
    with writing(engine) as connection:
        first = store.publish_bundle(connection, bundle)
        assert [(change.what, change.how) for change in first] == [("bundle", "added"), ("contract", "published")]
        assert store.publish_bundle(connection, bundle) == []
        assert versions.load(connection, bundle.digest).digest == bundle.digest
        with pytest.raises(Theirs, match=r"registry\.unknown"):
            versions.load(connection, "sha256:00")


def test_a_key_is_enrolled_once(engine: Engine, house: House) -> None:
    one, other = house.identity("do-thi", NOW), house.identity("kinh-te", NOW)
    filled(engine, province(), [one])
    with writing(engine) as connection:
        assert store.add_key(connection, "do-thi.sign-1", "do-thi", "sign", one.sign_certificate) == []
        for args in (
            ("do-thi.sign-1", "do-thi", "sign", other.sign_certificate),
            ("do-thi.sign-2", "do-thi", "sign", one.sign_certificate),
            ("do-thi.sign-1", "kinh-te", "sign", one.sign_certificate),
            ("do-thi.sign-1", "do-thi", "tls", one.sign_certificate),
        ):
            with pytest.raises(Theirs) as caught:
                store.add_key(connection, *args)
            assert caught.value.code == "registry.key-taken"
        with pytest.raises(Theirs) as caught:
            store.add_key(connection, "x.sign-1", "no-such", "sign", other.sign_certificate)
        assert caught.value.code == "registry.unknown"


def test_what_bodies_are_encrypted_for(engine: Engine, house: House) -> None:
    """Newest first, at the system and at its endpoint; a signing certificate is not taken for it, and none is found
    once it is revoked."""
    filled(engine, province(), [])
    with writing(engine) as connection:
        for number in (1, 2):
            certificate = issue_encryption(
                house.signing, "do-thi", new_private("RSA-2048").public_key(), NOW - 3600 + number
            )
            assert store.add_key(connection, f"do-thi.encrypt-{number}", "do-thi", "encrypt", certificate)
        with pytest.raises(Theirs, match=r"key\.unacceptable"):
            store.add_key(
                connection, "do-thi.encrypt-3", "do-thi", "encrypt", house.identity("do-thi", NOW).sign_certificate
            )
    snapshot = snapshot_of(engine)
    system = snapshot.system("do-thi")
    assert [key.key_id for key in snapshot.encrypt_keys("do-thi")] == ["do-thi.encrypt-2", "do-thi.encrypt-1"]
    assert (
        system is not None
        and system.endpoint is not None
        and system.endpoint.encrypt_keys == snapshot.encrypt_keys("do-thi")
    )
    assert snapshot.key("do-thi.encrypt-1") is None and not system.endpoint.keys_by_id  # they verify nothing
    with writing(engine) as connection:
        store.revoke_key(connection, "do-thi.encrypt-2", NOW)
    after = snapshot_of(engine)
    assert [key.key_id for key in after.encrypt_keys("do-thi")] == ["do-thi.encrypt-1"]
    assert after.encrypt_keys("kinh-te") == ()


def test_a_revoked_key_is_found_no_more(engine: Engine, house: House) -> None:
    identity = house.identity("do-thi", NOW)
    filled(engine, province(), [identity])
    with writing(engine) as connection:
        assert store.revoke_key(connection, "do-thi.sign-1", NOW) == [
            Change("key", "do-thi.sign-1", "revoked", ("unspecified",))
        ]
        assert store.revoke_key(connection, "do-thi.sign-1", NOW) == []
        store.revoke_key(connection, "do-thi.tls-1", NOW)
    snapshot = snapshot_of(engine)
    with pytest.raises(Policy) as refused:
        snapshot.key("do-thi.sign-1")
    assert refused.value.code == "signature.key-revoked"
    system = snapshot.system("do-thi")
    assert system is not None and system.endpoint is not None and not system.endpoint.keys_by_id
    tls = snapshot.tls_key(identity.tls_thumbprint)
    assert tls is not None and not tls.in_force(NOW)


def test_whom_to_ask(engine: Engine) -> None:
    filled(engine, province(), [])
    snapshot = snapshot_of(engine)
    assert "(H14.0; " in snapshot.owner_of(contracts()["incident-alert/v1"].contract).en
    asked = snapshot.owner_of(contracts()["indicator/v1"].contract)
    assert asked.vi.startswith(
        "Sở Tài chính (H14.4; Phòng Tổng hợp, quy hoạch, 0206 000 0004, "
    )  # of many departments, its provider
    asked = snapshot.owner_of(contracts()["indicator/v1"].contract, "H14.4")
    assert "(H14.0; " in asked.vi, "nobody is told to ask himself"


def test_of_several_agencies_none_is_taken_for_the_owner(engine: Engine) -> None:
    """No department provides it: the centre is asked, and named as its publisher, and not whoever comes first."""
    filled(engine, province(), [])
    snapshot = snapshot_of(engine)
    for name in ("observation/v1", "official-document/v1", "reference-query/v1"):
        contract = contracts()[name].contract
        assert contract.owner_role == "department" and (owner := snapshot.owner(contract)) is not None
        assert owner.code == "H14.0"


def test_masks_are_compiled_once(engine: Engine) -> None:
    filled(engine, province(), [])
    snapshot = snapshot_of(engine)
    contract = snapshot.contracts["indicator/v1"]
    mask = snapshot.mask(contract, "IndicatorValue", (("*", "!responsible"),))
    assert mask is not None and snapshot.mask(contract, "IndicatorValue", (("*", "!responsible"),)) is mask
    assert mask({"value": 1, "responsible": {"name": "x"}})["responsible"] == {"absent": "not-permitted"}
    assert snapshot.mask(contract, "IndicatorValue", (("*",),)) is None
    assert snapshot.mask(contract, "IndicatorValue", (("*",), ("*", "!responsible"))) is None, (
        "what one grant shows is seen"
    )


class Looking(Registry):
    looks = moved = 0

    def refresh(self, connection: Connection) -> bool:
        self.looks += 1
        moved = super().refresh(connection)
        if moved:
            self.moved = self.looks
        return moved


def test_a_running_registry_follows_with_its_next_look(engine: Engine) -> None:
    """A change is promised to be in force everywhere within two seconds, which is time for four looks; and it takes
    one."""
    assert 4 * POLL_SECONDS <= 2.0
    filled(engine, province(), [])
    registry = Looking(engine, poll=0.02)
    before = registry.snapshot
    registry.start()
    try:
        with writing(engine) as connection:
            store.set_state(connection, "system", "do-thi", False)
        looks = registry.looks
        deadline = time.monotonic() + 60
        while not registry.moved and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 0 < registry.moved <= looks + 2, "one may have been under way"
        system = registry.snapshot.system("do-thi")
        assert system is not None and not system.active
        assert before.systems["do-thi"].active  # a snapshot never changes
    finally:
        registry.stop()


def test_older_bundles_are_compiled_when_asked_for(engine: Engine) -> None:
    filled(engine, province(), [])
    registry = Registry(engine)
    digest = bundles()[0].digest
    assert registry.compiled(digest) is registry.snapshot.compiled[digest]
    with pytest.raises(Failure):
        registry.compiled("sha256:00")


def test_without_the_database_it_stands_for_a_grace_and_no_longer(engine: Engine) -> None:
    now = [0.0]
    registry = Registry(engine, grace=60, clock=lambda: now[0])
    now[0] = 59.0
    assert registry.snapshot.revision == 0
    now[0] = 61.0
    with pytest.raises(Ours) as caught:
        _ = registry.snapshot
    assert caught.value.code == "registry.stale"
    with engine.connect() as connection:
        assert registry.refresh(connection) is False
    assert registry.snapshot.revision == 0


def test_loading_does_not_ask_more_often_for_more_systems(engine: Engine) -> None:
    filled(engine, province(), [])
    before = snapshot_of(engine)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda conn, cursor, statement, *rest: statements.append(statement))
    snapshot_of(engine, before)
    assert len([text for text in statements if text.startswith("SELECT")]) <= 15


def test_an_address_for_callbacks_is_in_force_as_it_was_approved(engine: Engine) -> None:
    """A system that only calls gets no endpoint by it; a later change of it waits for officers."""

    def document(address: str) -> Document:
        raw = yaml.safe_load(PROVINCE)
        for each in raw["systems"]:
            if each["id"] in ("phan-anh", "truong-ha"):
                each["callback"] = address
        return province(yaml.safe_dump(raw, allow_unicode=True))

    filled(engine, document("https://a.example/back"), [])
    systems = Registry(engine).snapshot.systems
    assert {systems[each].callback for each in ("phan-anh", "truong-ha")} == {"https://a.example/back"}
    assert systems["phan-anh"].endpoint is None and systems["phan-anh"].kind is None
    endpoint = systems["truong-ha"].endpoint
    assert endpoint is not None and "callback" not in endpoint.options and systems["do-thi"].callback is None
    with engine.begin() as connection:
        store.apply(document("https://b.example/back"), connection, NOW + 10)
        waiting = {str(each) for each in proposals.proposals(connection, "waiting")}
    assert {"system phan-anh", "system truong-ha"} <= waiting
    assert Registry(engine).snapshot.systems["phan-anh"].callback == "https://a.example/back"
