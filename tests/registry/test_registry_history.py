"""The registry of a past moment decides as the door decided then, whatever was changed since.

The oracle keeps its own record of what was done, in plain sets and numbers (tests/registry/played.py).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, update

from contracts.base.errors import Failure
from gateway.audit.verify.registered import check_registered
from gateway.journal.database import open_engine, snapshot, writing
from gateway.journal.schema import tables
from gateway.registry import history, store
from gateway.registry.seals.sealing import adopt, changing
from gateway.registry.snapshot import Snapshot, load_snapshot
from tests.registry.making import NOW, OFFICERS, approve_all, bundles, contracts, new_database, province
from tests.registry.moments import snapshot_at
from tests.registry.played import CALLERS, CONTRACT, DAY, OPERATION, Asked, Played, Step, receiving, seal_of
from tests.size import examples


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The province with contracts and no grants to ask, sealed; copied for each history of changes."""
    folder = tmp_path_factory.mktemp("past")
    engine = new_database(folder)
    with changing(engine, seal_of(folder)) as act:
        for bundle, compiled in zip(bundles(), contracts().values(), strict=True):
            store.publish_bundle(act.connection, bundle, compiled)
        store.apply(replace(province(), grants=receiving()), act.connection, NOW - DAY)
        approve_all(act.connection, NOW - DAY)
        act.note("registry", {}, NOW - DAY)
    engine.dispose()
    return folder


ROLES = ("commune", "tester")
WHATS = (
    "propose",
    "propose",
    "sign",
    "sign",
    "sign",
    "sign",
    "suspend",
    "resume",
    "resume",
    "revoke",
    "remove",
    "role",
)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(WHATS),
        st.sampled_from(["P-1", "P-2"]),
        st.sampled_from([*CALLERS, *(f"role {role}" for role in ROLES)]),
        st.sampled_from([-9, 0, 3]),
        st.sampled_from([5, 40]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from(sorted(OFFICERS)),
        st.sampled_from([*CALLERS]),
        st.sampled_from(ROLES),
        st.sampled_from([2, 2, 3600, int(4 * DAY)]),
    ),
    min_size=4,
    max_size=10,
)
_copies = itertools.count()


def decided(stands: Snapshot, asked: Asked) -> frozenset[str]:
    decision = stands.decide(asked.agency, CONTRACT, OPERATION, asked.at)
    return frozenset(each.id for each in decision.through)


def logged(engine: Engine, asked: Asked) -> tuple[frozenset[str], int]:
    """The grants by which the door let the call through, as the log has them, and the revision that it names."""
    table = tables.log_pending.c
    query = select(table.entry).where(table.transfer == asked.transfer, table.phase.in_(("intent", "refusal")))
    with engine.connect() as connection:
        entry = json.loads(bytes(connection.execute(query).scalar_one()))
    accepted = entry["kind"] == "intent"
    assert accepted or entry["failure"].startswith("access."), entry
    return frozenset([entry["grant"], *entry.get("also", ())] if accepted else ()), entry["registry"]


# What every history ends with: one that two officers signed, was changed, and is given up.
SIGNED = [
    Step("propose", "P-1", "H14.21", -9, 40, False, "", "", "", 2),
    *(Step("sign", "P-1", "", 0, 0, False, officer, "", "", 2) for officer in sorted(OFFICERS)),
]


@settings(max_examples=examples(10), deadline=None)
@given(steps=STEPS)
def test_the_past_decides_as_the_door_did(base: Path, tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    """For any history of changes, after a restart and later revocations: by the time, and by the revision that the
    entry names."""
    folder = tmp_path_factory.mktemp("played") / f"{next(_copies)}"
    played = Played(base, folder)
    try:
        for step in [*SIGNED, *steps]:
            played.now += step.waits
            played.do(step)
            played.now += 1
            for agency in CALLERS:
                played.call(agency)
        played.now += 2
        for name, row in played.oracle.rows.items():
            if not row.revoked:
                played.do(Step("revoke", name, "", 0, 0, False, "", "", "", 0))
        with played.change() as act:
            store.set_state(act.connection, "agency", "H14.21", False)
    finally:
        played.close()
    assert any(each.wanted for each in played.asked), "somebody was let through"

    engine = open_engine(f"sqlite:///{folder / 'lgsp.db'}")
    stood: dict[int, Snapshot] = {}
    with snapshot(engine) as connection:
        now = load_snapshot(connection)
        for asked in played.asked:
            through, number = logged(engine, asked)
            assert through == asked.wanted, "the door decided as the oracle"
            if number not in stood:  # several calls were decided by one revision
                stood[number] = snapshot_at(connection, asked.at)
            assert stood[number].revision == history.revision_at(connection, asked.at) == number
            assert decided(stood[number], asked) == through
            assert decided(now, asked) == frozenset(), "now all of it is revoked"
        assert check_registered(connection, seal_of(folder)).wrong == ()
    engine.dispose()


# --- the beginning of the history -------------------------------------------------------------------------------------
@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Iterator[Played]:
    played = Played(base, tmp_path / "copy")
    yield played
    played.close()


def test_an_instance_of_an_older_release_begins_its_history_at_its_first_start(copied: Played) -> None:
    """What was before is not guessed: the answer says since when it is known, under a stable code."""
    engine, seal = copied.engine, copied.seal
    with writing(engine) as connection:  # as an older release leaves it: sealed, and without a history
        connection.execute(delete(tables.registry_history))
        pending = tables.log_pending
        for id, raw in connection.execute(select(pending.c.id, pending.c.entry)).all():
            entry = json.loads(raw)
            entry["facts"].get("registry", {}).pop("history", None)
            row = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            connection.execute(update(pending).where(pending.c.id == id).values(entry=row))
    with snapshot(engine) as connection, pytest.raises(Failure) as none_yet:
        snapshot_at(connection, NOW)
    assert none_yet.value.code == "registry.no-history"
    assert adopt(engine, seal, NOW) and not adopt(engine, seal, NOW + 1)
    with snapshot(engine) as connection:
        with pytest.raises(Failure) as earlier:
            snapshot_at(connection, NOW - 60)
        assert earlier.value.code == "registry.no-history" and "2026-11-24T14:00+07:00" in earlier.value.what("en")
        assert snapshot_at(connection, NOW + 1).agencies == load_snapshot(connection).agencies
        assert set(connection.scalars(select(tables.registry_history.c.what))) == {"registry-adopted"}
        assert check_registered(connection, seal).wrong == ()


def test_a_deleted_history_does_not_begin_anew_at_a_start(copied: Played) -> None:
    with writing(copied.engine) as connection:
        connection.execute(delete(tables.registry_history))
    with pytest.raises(Failure) as refused:
        adopt(copied.engine, copied.seal, NOW)
    assert refused.value.code == "registry.altered" and "registry_history" in str(refused.value.facts["rows"])


def test_a_change_is_in_its_entry_old_and_new_without_personal_data(copied: Played) -> None:
    """Values; of what is personal or long, a keyed digest."""
    for step in SIGNED:
        copied.do(step)
    copied.do(SIGNED[0]._replace(ends=5))
    with copied.change() as act:
        agency = tables.agency
        contact = json.dumps({"office": "Văn phòng", "phone": "0901234567", "email": "a@b.vn"}, ensure_ascii=False)
        act.connection.execute(update(agency).where(agency.c.code == "H14.21").values(contact=contact))
    with copied.change() as act:
        act.connection.execute(update(tables.person).values(name_vi="Trần Thị Bí Mật"))
    table = tables.log_pending.c
    with copied.engine.connect() as connection:
        raw = [bytes(each) for each in connection.scalars(select(table.entry).order_by(table.id))]
    changes = [json.loads(each)["facts"]["registry"]["changed"] for each in raw]
    assert changes[0] == {}, "the first rows are no change"
    assert changes[1]["access_grant"]["P-1"]["body.purpose"] == [None, "x"]
    again = changes[-3]["access_grant"]["P-1"]
    assert again.keys() == {"body.edition", "body.valid_until"} and again["body.edition"] == [1, 2]
    assert [each[:4] for each in again["body.valid_until"]] == ["2027", "2026"]
    voided = next(iter(changes[-3]["approval"].values()))
    assert voided.keys() == {"voided"} and voided["voided"][0] is None
    names = [each["name_vi"] for each in changes[-1]["person"].values()]
    assert names and all(set(each) == {"digest", "size"} for name in names for each in name)
    phone = changes[-2]["agency"]["H14.21"]["contact.phone"]
    assert all(set(each) == {"digest", "size"} for each in phone) and phone[0] != phone[1]
    assert b"0901234567" not in b"".join(raw) and "Bí Mật".encode() not in b"".join(raw)
