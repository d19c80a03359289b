"""What a component system can send, or somebody can type, on every page that shows it: text stays text."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, insert, select, update

from contracts.base.ids import new_id
from gateway import console
from gateway.console.accounts import store, tokens
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.console.site.render import environment
from gateway.journal import jobs
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.tasks.certificate_status import ASKED
from gateway.registry.changes import enrolment_orders
from gateway.registry.seals.account_rows import changing
from security.algorithms import certificate_digest, new_private
from security.transparency.entry import Caller, Note, Refusal, freeze
from tests.attacks.console.walking import Markup, walk
from tests.console.people import Desk, Person

MARK = "xssmark"
HOSTILE = (
    f"\"'><{MARK} onfocus={MARK}() autofocus></{MARK}><script>{MARK}()</script>"
    f"<img src=x onerror={MARK}()>{{{{7*7}}}}${{7*7}}</textarea></title>--></style>\u2028"
)
SHORT = f"\"'><{MARK} onclick={MARK}()>"
ADDRESS = f"javascript:{MARK}()"
TRANSFER = "01935b6e-0000-7000-8000-000000000001"


def fill(desk: Desk, now: float) -> None:
    """Hostile text wherever somebody else's text is kept."""
    world = desk.world
    findings = [{"here": HOSTILE, "canonical": HOSTILE, "got": HOSTILE, "rule": HOSTILE, "expected": HOSTILE}]
    caller = Caller("H14.2", "canh-bao")
    entries: list[Refusal | Note] = [
        Refusal(
            new_id(),
            now,
            "rest",
            HOSTILE,
            403,
            caller,
            None,
            HOSTILE,
            HOSTILE,
            HOSTILE,
            nearest=HOSTILE,
            provider=HOSTILE,
        ),
        Refusal(new_id(), now, "soap", "access.no-grant", 403, None, HOSTILE, findings=findings),
        Refusal(new_id(), now, HOSTILE, ADDRESS, 400, caller, None, ADDRESS, ADDRESS),
        Note(
            new_id(),
            now,
            "console-account",
            HOSTILE,
            {"account": HOSTILE, "how": HOSTILE, "changed": {HOSTILE: HOSTILE}},
        ),
        Note(new_id(), now, "export", HOSTILE, {"reason": HOSTILE, "query": {HOSTILE: HOSTILE}}),
        Note(new_id(), now, "body-view", ADDRESS, {"reason": ADDRESS, "transfer": TRANSFER}),
        Note(new_id(), now, "registry", HOSTILE, {"changed": {"system": {HOSTILE: {"old": HOSTILE, "new": SHORT}}}}),
        Note(new_id(), now, "certificate-status", "gateway", {"subject": HOSTILE, "issuer": HOSTILE, "key": HOSTILE}),
    ]
    frozen = [freeze(each) for each in entries]
    with writing(world.engine) as connection:
        append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in frozen])
        for table, values in (
            (tables.system, {"title_vi": HOSTILE, "title_en": HOSTILE}),
            (
                tables.agency,
                {"name_vi": HOSTILE, "name_en": HOSTILE, "contact": json.dumps({"office": HOSTILE, "x": SHORT})},
            ),
        ):
            connection.execute(update(table).values(values))
        jobs_of_keepers(connection, now)
        revision = tables.instance.c.key == "registry.revision"
        connection.execute(update(tables.instance).where(revision).values(value="999"))
    with changing(world.engine, desk.seal, now, HOSTILE) as change:
        store.add(change, Account("hai", HOSTILE, HOSTILE.strip("\u2028"), (Role.AGENCY,), True))
        tokens.make(change, replace(tokens.wanted("lan", "x", 1, now), label=SHORT))
        for table, column in ((tables.console_session, "source"), (tables.console_account, "name")):
            for row in change.all(table):
                change.alter(table, row, {column: HOSTILE})
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)


def jobs_of_keepers(connection: Connection, now: float) -> None:
    """What a keeper, an authority or an operator wrote."""
    told = {"title": HOSTILE, "what": HOSTILE, "next": ADDRESS}
    done = {"use": HOSTILE, "key": SHORT, "certificate": HOSTILE, "authority": HOSTILE, "unnamed": HOSTILE}
    order = {"older": "until", "until": int(now), "keys": [HOSTILE], "at": int(now), "pieces": []}
    by = (HOSTILE, HOSTILE)
    refused = jobs.add(connection, enrolment_orders.KIND, "canh-bao", by, now)
    jobs.change(connection, refused, now, jobs.DONE, trouble={"code": SHORT, "vi": told, "en": told})
    issued = jobs.add(connection, enrolment_orders.KIND, "canh-bao", by, now)
    jobs.change(connection, issued, now, jobs.DONE, enrolled=[done], older=[HOSTILE], order=order)
    jobs.add(connection, enrolment_orders.END, "canh-bao", by, now, order=order)
    asked = jobs.add(connection, ASKED, "", by, now)
    jobs.change(connection, asked, now, jobs.DONE, troubles=[HOSTILE, ADDRESS])
    hold = {"name": "hold", "reason": HOSTILE, "actor": HOSTILE, "since": now, "agency": HOSTILE, "contract": SHORT}
    connection.execute(insert(tables.vault_hold).values(hold))
    outside = {"name": HOSTILE, "uses": json.dumps([SHORT]), "certificates": "", "crl": json.dumps([ADDRESS])}
    connection.execute(insert(tables.outside_authority).values({**outside, "ocsp": ADDRESS, "grace": 0.0}))
    told_of = {"size": HOSTILE, "manifest": HOSTILE, "day": HOSTILE, "kind": HOSTILE, "reason": HOSTILE}
    notes = [freeze(Note(new_id(), now, what, HOSTILE, told_of)) for what in ("backup", "backup-drill", "restore")]
    append(connection, [LogRow(each.transfer, each.phase, each.entry, each.leaf) for each in notes])


@pytest.mark.attack("xss")
@pytest.mark.parametrize("language", ["vi", "en"])
async def test_no_text_of_others_becomes_markup(people: Desk, language: str) -> None:
    people.world.services.settings = replace(people.world.services.settings, name=HOSTILE)
    people = Desk(people.world)
    await people.world.hand_in(TRANSFER, {"identifier": HOSTILE, "headline": HOSTILE})
    lan = await people.signed_in("lan", *Role)
    lan.language = language
    fill(people, time.time())
    people.world.sequence()
    nobody, shown = Person(people, "", language=language), set()
    walked = await walk(lan, "hai", TRANSFER, "canh-bao", "H14.2", HOSTILE)
    walked |= {target: await nobody.get(target) for target in ("/console/status", f"/console/sign-in?next={HOSTILE}")}
    assert len(walked) > 20
    for target, answer in walked.items():
        assert answer.status != 500, target
        if not answer.headers.get("content-type", "").startswith("text/html"):
            assert "html" not in answer.headers.get("content-type", ""), target
            continue
        page = Markup(answer.body)
        assert page.faults(MARK) == [], (target, page.faults(MARK))
        assert b"&amp;lt;" not in answer.body, f"{target}: escaped twice"
        if b"49" in answer.body:
            assert b"{{7*7}}" in answer.body or MARK.encode() not in answer.body, f"{target}: rendered as a template"
        if MARK.encode() in answer.body:
            shown.add(target.partition("?")[0])
    assert {"/console", "/console/search", "/console/people", "/console/account", "/console/status"} <= shown
    assert {"/console/account/tokens", "/console/agencies", "/console/agencies/H14.2", "/console/backups"} <= shown
    assert {"/console/vault", "/console/keys", "/console/systems/canh-bao"} <= shown
    assert [target for target in shown if target.startswith("/console/systems/canh-bao/enrolments/")]


@pytest.mark.attack("xss")
async def test_what_was_typed_wrongly_comes_back_as_text(people: Desk) -> None:
    lan = await people.signed_in("lan", *Role)
    answers = [
        await Person(people, "").send("/console/sign-in", {"name": HOSTILE, "password": HOSTILE, "code": SHORT}),
        await lan.post("/console/people", id=HOSTILE, agency=HOSTILE, name=HOSTILE, roles=HOSTILE),
        await lan.post("/console/people/lan/roles", roles=SHORT),
        await lan.post("/console/account/tokens", label=HOSTILE, days=SHORT),
        await lan.get(f"/console/search?cursor={SHORT}"),
        await lan.get(f"/console/search?from={SHORT}&role={SHORT}"),
        await lan.get(f"/console?done={SHORT}"),
        await lan.get(f"/console/{SHORT}"),
    ]
    for answer in answers:
        assert Markup(answer.body).faults(MARK) == []


@pytest.mark.attack("xss")
async def test_what_a_certificate_request_says_stays_text(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.OPERATOR)
    private = new_private()
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:lgsp:system:canh-bao")])
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, text) for text in (SHORT, f"<script>{MARK}()</script>")]
    )
    built = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    request = built.sign(private, certificate_digest(private)).public_bytes(Encoding.PEM).decode()
    here = "/console/systems/canh-bao/enrol/look"
    answers = [await lan.post(here, sign=request), await lan.post(here, sign=request + HOSTILE.strip("\u2028"))]
    answers += [await lan.post(here, tls=f"-----BEGIN {HOSTILE}"), await lan.post(here, tls=SHORT)]
    assert MARK.encode() in answers[0].body and b"possession proved" in answers[0].body
    for answer in answers:
        assert Markup(answer.body).faults(MARK) == []


@pytest.mark.attack("xss")
def test_templates_escape_and_have_no_inline_code() -> None:
    made = environment("vi")
    escaping = made.autoescape
    assert escaping is True or (callable(escaping) and escaping("x.html"))
    templates = sorted((Path(console.__file__).parent / "templates").glob("*.html"))
    assert templates
    for each in templates:
        source = each.read_text("utf-8")
        assert "|safe" not in source.replace(" ", "") and "autoescape" not in source, each.name
        assert " style=" not in source and " onclick=" not in source and "<style" not in source, each.name


@pytest.mark.attack("xss")
async def test_operations_answer_json_alone(people: Desk) -> None:
    """A browser that is led to an operation does not take it for a page."""
    people.add("lan", *Role)
    fill(people, time.time())
    from tests.console.test_operations import call, token

    for target in ("/api/accounts", "/api/entries", "/api/tokens"):
        answer = await call(people, token(people, "lan"), "GET", target)
        assert answer.headers["content-type"] == "application/json" and json.loads(answer.body), target
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"


@pytest.mark.attack("xss")
async def test_the_log_keeps_the_text_as_it_came(people: Desk) -> None:
    """Escaping is the page's work: the record is not changed."""
    people.add("lan", *Role)
    fill(people, time.time())
    with people.world.engine.connect() as connection:
        kept = [json.loads(row.entry) for row in connection.execute(select(tables.log_pending.c.entry))]
    assert any(each.get("actor") == HOSTILE for each in kept)
