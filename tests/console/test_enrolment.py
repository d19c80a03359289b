"""Certificates for systems: what a request asks for, the order, what the keeper makes of it, rotation."""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator

import pytest
from cryptography import x509
from sqlalchemy import update

from gateway.console.accounts import secrets
from gateway.console.roles import Role
from gateway.journal import jobs
from gateway.journal.database import lock_of, writing
from gateway.journal.jobs import Job
from gateway.journal.schema.console_tables import console_job
from gateway.keeper.tasks.enrolments import Enrolments
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes.enrolment_orders import END, KIND
from gateway.registry.changes.orders import Orders
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from security import algorithms
from security.pki import authority
from tests.console.people import HOST, Desk, Person, Reader
from tests.console.test_operations_of_pages import NOTICE as NOTICE
from tests.console.test_operations_of_pages import Script
from tests.console.test_queue import office as office
from tests.console.test_systems import REASON, notes
from tests.delivery.posting import Post
from tests.delivery.posting import post as post

HERE = "/console/systems/truong-ha"
DAY = 86_400.0


@pytest.fixture
def desk(office: Desk, instance_keys: Settings) -> Iterator[Desk]:
    """A desk whose folder has the keys of an instance."""
    settings = office.services.settings
    for folder in ("keys", "ca"):
        shutil.copytree(instance_keys.data / folder, settings.data / folder, dirs_exist_ok=True)
    vkey = settings.data / "log" / "log.vkey"
    vkey.parent.mkdir(exist_ok=True)
    vkey.write_text("localhost/lgsp-test+12345678+AQ==\n")
    yield office


def keeper(desk: Desk, post: Post, later: float = 0.0) -> Enrolments:
    settings = desk.services.settings
    hash_key = (settings.data / "keys" / "hash.key").read_bytes()
    seal = Seal.of(settings)
    return Enrolments(
        post.engine,
        lock_of(post.engine),
        EmbeddedAuthority(settings),
        Orders(hash_key),
        seal,
        lambda: time.time() + later,
    )


def request(system: str = "truong-ha", kind: algorithms.KeyType = "P-256", hosts: tuple[str, ...] = ()) -> str:
    return authority.make_request(system, algorithms.new_private(kind), hosts=hosts).decode()


def newest(post: Post, kind: str) -> Job:
    with post.engine.connect() as connection:
        return jobs.newest(connection, kind)[0]


def states(post: Post) -> dict[str, str]:
    post.registry.refresh(post.engine.connect())
    return {key.key_id: key.state for key in post.registry.snapshot.keys.values() if key.system == "truong-ha"}


def row_of(post: Post, job: Job, changed: dict[str, str]) -> None:
    """Puts the row of a job as somebody with the database alone could."""
    values = {"subject": job.subject, "state": job.state, "actor": job.actor, "reason": job.reason}
    with writing(post.engine) as connection:
        row = update(console_job).where(console_job.c.id == job.id)
        connection.execute(row.values({**values, "facts": json.dumps(job.facts), **changed}))


async def ordered(desk: Desk, minh: Person, post: Post, **form: str) -> str:
    """The address of the order."""
    answer = await minh.post(f"{HERE}/enrol", **{"older": "keep", "reason": REASON, **form})
    assert answer.status == 303, answer.body.decode()
    return answer.headers["location"].partition("?")[0]


async def test_certificates_are_looked_at_ordered_issued_and_handed_over(desk: Desk, post: Post) -> None:
    minh = await desk.signed_in("minh", Role.OPERATOR)
    given = {"tls": request(hosts=("localhost",)), "sign": request(), "encrypt": request(kind="RSA-3072")}
    page = Reader((await minh.post(f"{HERE}/enrol/look", **given)).body)
    assert "possession proved" in page.text and "EC secp256r1" in page.text and "RSA 3072" in page.text
    assert "localhost" in page.text and "truong-ha.tls-2" in page.text and f"{HERE}/enrol" in page.forms
    keys = [desk.services.settings.authority / f"{name}.key" for name in ("tls", "sign", "root")]
    for key in keys:  # the desk needs no key of the authority
        key.rename(key.with_suffix(".away"))
    here = await ordered(desk, minh, post, **given)
    text = Reader((await minh.get(here)).body).text
    for key in keys:
        key.with_suffix(".away").rename(key)
    assert "waits for the keeper" in text
    assert (await minh.get(f"{here}/package")).status == 404 == (await minh.get(f"{here}/certificates/tls")).status
    await keeper(desk, post).run_once(post.lease)
    assert {"truong-ha.tls-2", "truong-ha.sign-2", "truong-ha.encrypt-1"} <= set(states(post))
    page = Reader((await minh.get(here)).body)
    assert "finished" in page.text and f"{here}/package" in page.links
    pem = (await minh.get(f"{here}/certificates/tls")).body
    leaf, issuer = x509.load_pem_x509_certificates(pem)
    leaf.verify_directly_issued_by(issuer)
    package = zipfile.ZipFile(io.BytesIO((await minh.get(f"{here}/package")).body))
    assert {"tls.crt", "sign.crt", "encrypt.crt", "keys.json", "README.txt", "handout/ca.crt"} <= set(
        package.namelist()
    )
    assert package.read("tls.crt") == pem and b"PRIVATE" not in b"".join(map(package.read, package.namelist()))
    handout = zipfile.ZipFile(io.BytesIO((await minh.get(f"{HERE}/handout")).body))
    assert json.loads(handout.read("gateway.json"))["gateway_key_id"] == "gateway.sign-1"
    (asked,), (done,) = notes(desk, "enrolment"), notes(desk, "registry")
    assert asked["actor"] == done["actor"] and asked["actor"].startswith("H14.0/minh: console")
    assert (
        asked["facts"]["reason"] == done["facts"]["reason"] == REASON
        and done["facts"]["order"] == newest(post, KIND).id
    )
    await keeper(desk, post).run_once(post.lease)
    assert len(notes(desk, "registry")) == 1


async def test_what_cannot_be_answered_is_told_and_not_ordered(desk: Desk, post: Post) -> None:
    minh = await desk.signed_in("minh", Role.OPERATOR)
    forged = request().replace("MII", "MIJ", 1)
    for wrong, told in (
        ({}, "console.form"),
        ({"tls": "hello"}, "console.form"),
        ({"tls": request() + "x" * 17_000}, "console.form"),
        ({"tls": "-----BEGIN " + "PRIVATE KEY-----"}, "console.form"),
        ({"tls": request("do-thi")}, "registry.request-system"),
        ({"tls": request(hosts=("elsewhere.example",))}, "registry.request-host"),
        ({"encrypt": request()}, "key.unacceptable"),
        ({"sign": forged}, "key.unacceptable"),
    ):
        page = await minh.post(f"{HERE}/enrol/look", **wrong)
        assert told in Reader(page.body).text, wrong
        assert (await minh.post(f"{HERE}/enrol", older="keep", reason=REASON, **wrong)).status >= 400, wrong
    good = {"sign": request()}
    typed = {"older": "until", "until": "2099-01-31", "reason": "no"}
    referer = {"referer": f"https://{HOST}{HERE}/enrol/look"}
    fields = {"csrf": secrets.csrf_of(minh.cookie.partition("=")[2]), **good, **typed}
    again = await minh.send(f"{HERE}/enrol", fields, **referer)  # that page has no GET: it is shown again
    text = again.body.decode()
    assert again.status == 400 and "console.reason" in text and 'id="refused-why"' in text, text[:200]
    assert 'value="2099-01-31"' in text and "possession proved" in text
    for form in ({"older": "keep"}, {"reason": REASON}, {"older": "until", "reason": REASON}):
        assert (await minh.post(f"{HERE}/enrol", **good, **form)).status == 400, form
    assert (await minh.post(f"{HERE}/enrol", **good, older="until", until="2020-01-01", reason=REASON)).status == 400
    with post.engine.connect() as connection:
        assert jobs.newest(connection, KIND) == []


async def test_keys_are_rotated_with_the_older_ones_revoked_or_left_for_a_time(desk: Desk, post: Post) -> None:
    minh = await desk.signed_in("minh", Role.OPERATOR)
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * DAY))
    await ordered(desk, minh, post, sign=request(), older="until", until=until)
    await keeper(desk, post).run_once(post.lease)
    assert states(post)["truong-ha.sign-1"] == states(post)["truong-ha.sign-2"] == "active"
    job = newest(post, END)
    assert job.facts["order"]["keys"] == ["truong-ha.sign-1"]
    page = Reader((await minh.get(HERE)).body)
    assert "to be revoked" in page.text and f"{HERE}/ends/{job.id}/keep" in page.forms
    await keeper(desk, post, 6 * DAY).run_once(post.lease)
    assert states(post)["truong-ha.sign-1"] == "active"
    await keeper(desk, post, 9 * DAY).run_once(post.lease)
    assert states(post)["truong-ha.sign-1"] == "revoked" and states(post)["truong-ha.sign-2"] == "active"
    await ordered(desk, minh, post, sign=request(), older="now")
    await keeper(desk, post).run_once(post.lease)
    assert [states(post)[f"truong-ha.sign-{n}"] for n in (1, 2, 3)] == ["revoked", "revoked", "active"]
    assert states(post)["truong-ha.tls-1"] == "active"
    await ordered(desk, minh, post, sign=request(), older="until", until=until)
    await keeper(desk, post).run_once(post.lease)
    last = newest(post, END)
    assert (await minh.post(f"{HERE}/ends/{last.id}/keep", reason=REASON)).status == 303
    assert (await minh.post(f"{HERE}/ends/{last.id}/keep", reason=REASON)).status == 404
    await keeper(desk, post, 9 * DAY).run_once(post.lease)
    assert states(post)["truong-ha.sign-3"] == "active"
    assert notes(desk, "key-end")[0]["facts"]["step"] == "withdrawn"


@pytest.mark.attack("console")
async def test_who_only_writes_to_the_database_orders_no_certificate(desk: Desk, post: Post) -> None:
    """An order that no desk sealed, that was altered, moved to another system, put back, or kept for long."""
    minh = await desk.signed_in("minh", Role.OPERATOR)
    pieces = [{"use": "sign", "key": "truong-ha.sign-9", "pem": request()}]
    order = {"pieces": pieces, "older": "now", "until": None}
    now, before = time.time(), states(post)
    with writing(post.engine) as connection:
        jobs.add(connection, KIND, "truong-ha", ("H14.0/minh: console", REASON), now, order=order)
        jobs.add(connection, KIND, "truong-ha", ("x", ""), now, order=order, seal="0" * 64)
        jobs.add(connection, KIND, "truong-ha", ("x", ""), now, order=["x"], seal="0" * 64)
        jobs.add(connection, END, "truong-ha", ("x", ""), now, order={"keys": ["truong-ha.sign-1"], "at": 1}, seal="x")
        jobs.add(connection, END, "truong-ha", ("x", ""), now)
    await keeper(desk, post).run_once(post.lease)
    assert states(post) == before
    assert (
        newest(post, KIND).facts["trouble"]["code"]
        == newest(post, END).facts["trouble"]["code"]
        == "registry.order-altered"
    )
    assert {each["facts"]["failure"] for each in notes(desk, "enrolment")} == {"registry.order-altered"}
    here = await ordered(desk, minh, post, sign=request())
    real = newest(post, KIND)
    moved = json.dumps({**real.facts, "order": {**real.facts["order"], "pieces": pieces}})
    for change in ({"subject": "do-thi"}, {"facts": moved}, {"reason": "another"}, {"actor": "H14.0/lan: console"}):
        row_of(post, real, change)
        await keeper(desk, post).run_once(post.lease)
        assert states(post) == before, change
        assert newest(post, KIND).facts["trouble"]["code"] == "registry.order-altered"
    row_of(post, real, {})
    await keeper(desk, post, 601.0).run_once(post.lease)
    assert states(post) == before and newest(post, KIND).facts["trouble"]["code"] == "registry.order-late"
    assert "too old" in Reader((await minh.get(here)).body).text
    await ordered(desk, minh, post, sign=request())
    await keeper(desk, post).run_once(post.lease)
    after = states(post)
    assert len(after) == len(before) + 1
    row_of(post, newest(post, KIND), {"state": "running"})  # the same order again: its key's id is used
    await keeper(desk, post).run_once(post.lease)
    assert states(post) == after


@pytest.mark.attack("idor")
async def test_enrolments_are_for_who_operates_and_are_seen_by_their_agency(desk: Desk, post: Post) -> None:
    minh, lan = await desk.signed_in("minh", Role.OPERATOR), await desk.signed_in("lan", Role.AGENCY, agency="H14.5")
    here = await ordered(desk, minh, post, sign=request())
    own = await ordered(desk, minh, post, sign=request())
    await keeper(desk, post).run_once(post.lease)
    assert (await lan.get(f"{HERE}/enrol")).status == 403 == (await lan.post(f"{HERE}/enrol", sign=request())).status
    for path in (here, f"{own}/package", f"{own}/certificates/sign", f"{own}/events"):
        assert (await lan.get(path)).status == 404, path
        assert (await lan.get(path.replace("truong-ha", "phan-anh"))).status == 404, "the job of another system"
    owner = await desk.signed_in("owner", Role.AGENCY, agency=post.registry.snapshot.systems["truong-ha"].agency)
    assert (await owner.get(f"{own}/certificates/sign")).status == 200


async def test_a_program_orders_and_reads_certificates(desk: Desk, post: Post) -> None:
    minh = Script(desk, "minh", Role.OPERATOR)
    wrong = {"requests": {"sign": request("do-thi")}, "older": "keep", "reason": REASON}
    assert (await minh.ask("enrolSystem", wrong, system="truong-ha")).status == 403
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 7 * DAY))
    body = {"requests": {"sign": request()}, "older": "until", "until": until, "reason": REASON}
    asked = (await minh.get("enrolSystem", body, system="truong-ha"))["enrolment"]
    assert asked["state"] == "running" and "console, token " in asked["by"]
    await keeper(desk, post).run_once(post.lease)
    done = (await minh.get("readEnrolment", system="truong-ha", job=asked["id"]))["enrolment"]
    assert done["certificates"][0]["key"] == "truong-ha.sign-2" and done["older"] == ["truong-ha.sign-1"]
    post.registry.refresh(post.engine.connect())
    keys = {each["id"]: each for each in (await minh.get("readSystem", system="truong-ha"))["keys"]}
    await minh.get("keepKeys", {"reason": REASON}, system="truong-ha", job=keys["truong-ha.sign-1"]["ends"]["order"])
    assert zipfile.ZipFile(io.BytesIO(await minh.get("readHandout"))).namelist()
    assert minh.done == {"enrolSystem", "readEnrolment", "keepKeys", "readHandout", "readSystem"}


async def test_a_key_gets_the_id_that_was_chosen(desk: Desk, post: Post) -> None:
    minh, script = await desk.signed_in("minh", Role.OPERATOR), Script(desk, "binh", Role.OFFICER)
    for wrong in ({"sign-id": "no blanks"}, {"sign-id": "a" * 129}, {"sign-id": "TH-2026", "tls-id": "TH-2026"}):
        assert (await minh.post(f"{HERE}/enrol/look", sign=request(), tls=request(), **wrong)).status == 400, wrong
    taken = Reader((await minh.post(f"{HERE}/enrol/look", sign=request(), **{"sign-id": "truong-ha.sign-1"})).body)
    assert f"{HERE}/enrol" not in taken.forms and "truong-ha.sign-1" in taken.text
    given = {"sign": request(), "sign-id": "TH-2026"}
    assert "TH-2026" in Reader((await minh.post(f"{HERE}/enrol/look", **given)).body).text
    await ordered(desk, minh, post, **given)
    body = {"requests": {"encrypt": request(kind="RSA-3072")}, "ids": {"encrypt": "TH.enc"}, "older": "keep"}
    await script.get("enrolSystem", {**body, "reason": REASON}, system="truong-ha")
    await keeper(desk, post).run_once(post.lease)
    assert {"TH-2026", "TH.enc"} <= set(states(post))
    again = await script.ask("enrolSystem", {**body, "reason": REASON}, system="truong-ha")
    assert again.json["code"] == "registry.key-taken"
