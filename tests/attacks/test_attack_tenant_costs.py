"""What one tenant of a sandbox costs: acts beside its messages, bytes that it wants kept, evidence of its runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import create_engine

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.exchange.quotas import ACTS, OF_DESK, VendorLimits
from gateway.journal import jobs
from gateway.journal.schema import tables
from gateway.sandbox.conformance import runs, service
from gateway.sandbox.conformance.provider import Bounds, ProviderRun, Sent
from gateway.vault import scratch
from gateway.vault.scratch import Room
from tests.console.conftest import instance_keys as instance_keys
from tests.console.conftest import quick as quick
from tests.console.test_queue import office as office
from tests.delivery.posting import post as post
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import API, VendorDesk
from tests.sandbox.vendors.test_conformance_runs import API as RUNS
from tests.sandbox.vendors.test_conformance_runs import NAME
from tests.sandbox.vendors.test_conformance_runs import service as carrying

NOW = 1_796_000_000.0


@pytest.mark.attack("flood")
def test_acts_and_bytes_of_a_tenant_are_counted_and_those_of_others_are_not() -> None:
    engine, limits = create_engine("sqlite://"), VendorLimits(4, 9, 1000)
    tables.quota_use.create(engine)
    with engine.begin() as connection:
        for _ in range(2):
            limits.spend(connection, "NCC.A", NOW, OF_DESK)
        with pytest.raises(Failure) as caught:
            limits.spend(connection, "NCC.A", NOW)
        assert caught.value.code == "sandbox.quota" and 1 <= (caught.value.retry_after or 0) <= 60
        limits.spend(connection, "NCC.B", NOW)
        limits.spend(connection, "NCC.A", NOW + 60, 4)
        with pytest.raises(Failure):
            limits.spend(connection, "NCC.A", NOW + 120, 2)  # of the day
        limits.keep(connection, "NCC.A", NOW, 1000)
        for agency, size in (("NCC.A", 1), ("NCC.B", 1001)):
            with pytest.raises(Failure) as kept:
                limits.keep(connection, agency, NOW, size)
            assert kept.value.code == "sandbox.bytes" and 1 <= (kept.value.retry_after or 0) <= 86_400
        for _ in range(10):
            limits.spend(connection, "H14.1", NOW, OF_DESK)
            limits.keep(connection, "H14.1", NOW, 1000)
        assert not limits.acts("H14.1", NOW) and {each.grant_id for each in limits.acts("NCC.A", NOW)} == {ACTS}


@pytest.mark.attack("flood")
async def test_changes_and_runs_of_a_vendor_are_counted_in_one_share(vendors: VendorDesk) -> None:
    vendors.set(sandbox_vendor_minute=3 * OF_DESK)
    vendor, other = await vendors.join(), await vendors.join(name="Công ty Khác")
    wanted = {"system": vendor.system, "contract": NAME, "role": "caller", "only": ""}
    changes = [await vendor.send(f"{API}/{vendor.system}", {"nonsense": 1}, "PUT") for _ in range(2)]
    assert {each.status for each in changes}.isdisjoint({429})
    assert (await vendor.send(RUNS, wanted)).status == 201
    for refused in (await vendor.send(RUNS, wanted), await vendor.send(f"{API}/{vendor.system}", {}, "PUT")):
        assert refused.status == 429 and refused.json["code"] == "sandbox.quota" and refused.headers["retry-after"]
    assert (await vendor.get()).status == 200 and (await other.send(RUNS, wanted)).status != 429


@pytest.mark.attack("flood")
def test_two_owners_do_not_fill_the_room_of_large_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "RESERVE", 0)
    room, size = Room(tmp_path / "bodies", 800_000), 0
    for owner in ("NCC.A", "NCC.B"):
        while True:
            try:
                room.take(owner, 1000)
            except Failure as full:
                assert full.code == "body.no-room" and full.retry_after
                break
            size += 1000
    assert size <= 600_000
    room.take("H14.1", 100_000)


@pytest.mark.attack("flood")
def test_evidence_of_a_run_is_cut_when_it_is_taken() -> None:
    class Answered(ProviderRun):
        async def _tried(self, case: Any, sent: Sent) -> tuple[Words | None, bool]:
            sent.request, sent.answer = b"a", b"x" * 5_000_000
            return Words("sai", "wrong"), True

    bounds = Bounds(seconds=1.0, part=20, whole=50)
    run = Answered(cast(Any, None), cast(Any, None), cast(Any, None), cast(Any, None), bounds)
    results = [asyncio.run(run._result(cast(Any, None))) for _ in range(4)]
    assert [len(each.answer) for each in results] == [20, 20, 7, 0]
    assert [len(each.request) for each in results] == [1, 1, 1, 0]


@pytest.mark.attack("flood")
async def test_reports_of_older_runs_are_removed(vendors: VendorDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "REPORTS", 3)
    vendor = await vendors.join()
    facts = {**runs.BEGUN, "agency": vendor.agency, "system": vendor.system, "contract": NAME, "role": "caller",
             "protocol": "rest", "format": "", "operations": [], "software": "", "version": ""}  # fmt: skip
    settings, made = vendors.settings, list[str]()
    for _ in range(5):
        vendors.desk.moved += 1.0
        with vendors.desk.desk().writing() as connection:
            job = jobs.add(connection, runs.KIND, vendor.system, ("x", ""), vendors.desk.now(), **facts)
            jobs.change(connection, job, vendors.desk.now(), jobs.DONE)
        made.append(job.id)
        files = runs.files_of(settings, job.id)
        files.report.parent.mkdir(parents=True, exist_ok=True)
        for each in (files.report, files.junit, files.certificate):
            each.write_text("{}")
        carrying(vendors)._remove_old(job)
    there = [runs.files_of(settings, each).report.is_file() for each in made]
    assert there == [False, False, True, True, True]
    assert all(runs.files_of(settings, each).certificate.is_file() for each in made)
    told = (await vendor.get(f"{RUNS}/{made[0]}")).json
    assert told["over"] and "report" not in told and (await vendor.get(f"{RUNS}/{made[0]}/junit")).status == 404
