"""Runs that vendors ask for: by program and page, carried out beside the simulated systems; nobody sees another's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from contracts.compiled.contract import catalogue
from gateway.sandbox.conformance import caller_run, trial
from gateway.sandbox.conformance.service import Service
from tests.sandbox.conformance.test_callers import PLAIN
from tests.sandbox.vendors.desks import Vendor, VendorDesk

API = "/sandbox/api/conformance"
NAME = "field-report/v1"
CATALOGUE = {each.contract.name: each for each in catalogue()}


def service(desk: VendorDesk) -> Service:
    return Service(desk.settings, desk.post.engine, lambda: CATALOGUE, desk.desk.now)


async def begin(vendor: Vendor, **changes: Any) -> dict[str, Any]:
    answer = await vendor.send(API, {"system": vendor.system, "contract": NAME, "role": "caller", **changes})
    assert answer.status == 201, answer.body.decode()
    told: dict[str, Any] = answer.json
    return told


def late(desk: VendorDesk, system: str) -> None:
    """A door writes down a call whose signature was too old."""
    place = desk.settings.run / trial.FOLDER / system
    step = json.loads((place / trial.STEP).read_text())
    call: dict[str, Any] = {name: getattr(PLAIN, name) for name in PLAIN.__slots__ if name != "step"}
    call |= {"at": desk.desk.now(), "status": 401, "code": "signature.expired", "branch": "theirs"}
    trial._write_down(place, step, call)


async def test_a_callers_run_by_program_and_page(vendors: VendorDesk) -> None:
    vendor, other = await vendors.join(), await vendors.join(name="Công ty Khác")
    told = await begin(vendor, operation="createRequest", software="Mềm", version="1.0")
    assert (await vendor.send(API, {"system": vendor.system, "contract": NAME, "role": "caller"})).status == 409
    at, carrying = f"{API}/{told['id']}", service(vendors)
    await asyncio.to_thread(carrying.tick)
    now = (await vendor.get(at)).json
    assert now["step"] == "valid" and "createRequest" in now["ask"]["en"] and now["of"] == 10 and not now["over"]
    place = vendors.settings.run / trial.FOLDER / vendor.system
    late(vendors, vendor.system)
    assert (await vendor.send(f"{at}/next", {})).status == 201
    await asyncio.to_thread(carrying.tick)
    assert (await vendor.get(at)).json["step"] == "repeat"
    for target in (at, f"{at}/junit", f"{at}/certificate"):
        assert (await other.get(target)).status == 404
    assert (await other.send(f"{at}/stop", {})).status == 404 and (await other.get(API)).json == {"runs": []}
    for _ in range(9):
        await vendor.send(f"{at}/next", {})
        await asyncio.to_thread(carrying.tick)
    ended = (await vendor.get(at)).json
    assert ended["over"] and not ended["passed"] and ended["report"]["counts"]["failed"] == 1
    assert (await vendor.get(f"{at}/junit")).json["junit"].startswith("<?xml")
    assert (await vendor.get(f"{at}/certificate")).status == 404, "it did not pass"
    assert caller_run.current(place) is not None and not (place / trial.STEP).exists()


async def test_a_called_system_is_tried_with_one_group(vendors: VendorDesk) -> None:
    """She sees what was sent, what came back and what should have come, also where nothing is wrong."""
    vendor = await vendors.join(role="provider", address="https://localhost:9/nhan")
    wanted = {"role": "provider", "only": "repeats", "software": "Mềm", "version": "1.0"}
    carrying = service(vendors)
    await asyncio.to_thread(carrying.tick)  # what runs at its first look was begun by a process that is gone
    told = await begin(vendor, **wanted)
    for _ in range(300):
        await asyncio.to_thread(carrying.tick)
        if (ended := (await vendor.get(f"{API}/{told['id']}")).json)["over"]:
            break
        await asyncio.sleep(0.1)
    results = ended["report"]["results"]
    assert {each["group"] for each in results} == {"repeats"} and not ended["passed"]
    assert {each["expected"] for each in results} == {"same", "conflict"} and ended["certificate"] is None
    answer = await vendor.send(API, {"system": vendor.system, "contract": NAME, "role": "provider", "only": "all"})
    assert answer.status == 400


async def test_the_pages(vendors: VendorDesk) -> None:
    _, person = await vendors.form(name="Công ty Mẫu", contact="a@mau.example", contracts=NAME, role="caller")
    page = await person.get("/sandbox/conformance")
    assert page.status == 200
    system = page.body.decode().partition('<option value="')[2].partition('"')[0]
    moved = await person.post("/sandbox/conformance", system=system, contract=NAME, role="caller")
    assert moved.status == 303, moved.body.decode()
    at, carrying = moved.headers["location"].partition("?")[0], service(vendors)
    await asyncio.to_thread(carrying.tick)
    shown = (await person.get(at)).body.decode()
    assert "<progress" in shown and f'action="{at}/next"' in shown
    late(vendors, system)
    for _ in range(10):
        assert (await person.post(f"{at}/next")).status == 303
        await asyncio.to_thread(carrying.tick)
    shown = (await person.get(at)).body.decode()
    assert "It was refused: signature.expired" in shown and "curl --silent" in shown and "What to change" in shown
    assert json.loads((await person.get(f"{at}/report")).body)["counts"]["failed"] == 1
    assert (await person.get(f"{at}/junit")).headers["content-type"] == "application/xml"
    assert (await person.get(f"{at}/certificate")).status == 404
    moved = await person.post("/sandbox/conformance", system=system, contract=NAME, role="caller")
    another = moved.headers["location"].partition("?")[0]
    assert (await person.post(f"{another}/stop")).status == 303 and (await person.get(another)).status == 200
    _, stranger = await vendors.form(name="Công ty Khác", contact="b@mau.example", contracts=NAME, role="caller")
    for path in (at, f"{at}/report", f"{at}/qr", f"{at}/events"):
        assert (await stranger.get(path)).status == 404
    assert system not in (await stranger.get("/sandbox/conformance")).body.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [("system", "truong-ha"), ("contract", "dossier-status/v1"), ("role", "both"), ("operation", "nope"),
     ("protocol", "ftp"), ("software", "a\nb"), ("nope", "x"), ("role", "provider"), ("version", 1),
     ("only", "valid")],
)  # fmt: skip
async def test_what_is_asked_wrongly(vendors: VendorDesk, field: str, value: Any) -> None:
    vendor = await vendors.join()
    given = {"system": vendor.system, "contract": NAME, "role": "caller", field: value}
    assert (await vendor.send(API, given)).status in (400, 404)
