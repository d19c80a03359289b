"""The first page: refusals by reason and agency, unusual volumes, certificates that end; each for who may see it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from gateway.audit.search.search import reading
from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.console.site.desk import Desk as Site
from gateway.console.work import attention
from gateway.doors.health import Vitals
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.grants.windows import VIETNAM
from security.transparency.entry import Caller
from tests.console.officer import CALLER, Story
from tests.console.people import Desk, Person, Reader


@pytest.fixture
def story(people: Desk) -> Story:
    return Story(people)


def site(people: Desk) -> Site:
    services = people.world.services
    return Site(services, Vitals(services.engine, services.registry, people.now, None, None))  # type: ignore[arg-type]


async def test_refusals_are_counted_by_reason_and_agency(people: Desk, story: Story) -> None:
    for _ in range(3):
        story.refused()
    story.refused("message.invalid", caller=CALLER)
    story.refused("channel.no-certificate", caller=None, source="192.0.2.9")
    story.alert()
    story.settle()
    with reading(people.world.engine) as connection:
        counted = attention.denials(connection, site(people), None, people.now())
        own = attention.denials(connection, site(people), "H14.6", people.now())
        later = attention.denials(connection, site(people), None, people.now() + 8 * attention.DAY)
    assert [(each.code, each.agency, each.entries) for each in counted.rows] == [
        ("access.no-contract", "H14.7", 3),
        ("channel.no-certificate", None, 1),
        ("message.invalid", "H14.6", 1),
    ]
    assert counted.total == 5 and not counted.capped and later.rows == ()
    assert [each.code for each in own.rows] == ["message.invalid"]
    lan = await people.signed_in("lan", Role.OFFICER)
    page = (await lan.get("/console")).body.decode()
    assert page.count('<svg class="bars"') == 2
    text = Reader(page.encode()).text
    assert "access.no-contract 3 0 0 3" in text and "Total 3 1 1 5" in text and "Not proven" not in text
    assert ">No grant for this" in page and ">access.no-contract</text>" not in page and ">not proven</text>" in page
    begins = datetime.fromtimestamp(people.now(), VIETNAM).date() - timedelta(days=attention.DAYS - 1)
    links = [each for each in Reader(page.encode()).links if "search?outcome=refused" in each]
    assert links and all(f"from={begins}" in each for each in links), "as many days as are counted"
    month = Reader((await lan.get("/console?days=30")).body).links
    since = datetime.fromtimestamp(people.now(), VIETNAM).date() - timedelta(days=29)
    assert any(f"from={since}" in each for each in month)
    here = datetime.fromtimestamp(people.now(), VIETNAM)
    for at, number in ((here, "5"), (here.replace(day=1) - timedelta(days=1), "0")):
        named = Reader((await lan.get(f"/console?month={at:%Y-%m}")).body).text
        assert f"Refused in {at:%m/%Y} {number} " in named
    assert (await lan.get("/console?month=2026-13")).status == 400
    own_page = await people.signed_in("huong", Role.AGENCY, agency="H14.6")
    text = Reader((await own_page.get("/console")).body).text
    assert "message.invalid" in text and "access.no-contract" not in text and "192.0.2.9" not in text


async def test_every_agency_has_its_number(people: Desk, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the table has columns for: the others have a list under it."""
    agencies = ("H14.0", "H14.2", "H14.21", "H14.22", "H14.3", "H14.4", "H14.5", "H14.6", "H14.7")
    for number, agency in enumerate(reversed(agencies), start=1):
        for _ in range(number):
            story.refused(caller=Caller(agency, "s", "c" * 43, "s.sign-1", "s" * 43))
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    page = Reader((await lan.get(f"/console?month={datetime.fromtimestamp(people.now(), VIETNAM):%Y-%m}")).body)
    for agency in agencies:
        assert any(f"agency={agency}&" in each for each in page.links if "outcome=refused" in each), agency
    assert f"{people.world.services.registry.snapshot.agencies['H14.7'].name.of('en')} H14.7 : 1" in page.text


async def test_a_volume_is_unusual_against_the_same_hours(people: Desk, story: Story) -> None:
    """Days are made by moving the times at which entries were sequenced."""
    for number in range(attention.DAYS * 2 + 60):
        story.alert(f"BC-{number}", ago=1.0)
    story.settle()
    now = 1_795_500_000.0 + 12 * 3600  # noon and more, in Vietnam
    midnight = now - (now + 7 * 3600) % attention.DAY
    entry = tables.log_entry
    with writing(people.world.engine) as connection:
        connection.execute(update(entry).values(sequenced=midnight + 60))
        first = attention.DAYS * 4  # entries of two alerts a day
        for day in range(attention.DAYS):
            at = midnight - (attention.DAYS - day) * attention.DAY + 60
            span = (entry.c.idx >= day * 4) & (entry.c.idx < (day + 1) * 4)
            connection.execute(update(entry).where(span).values(sequenced=at))
        connection.execute(update(entry).where(entry.c.idx < 4).values(sequenced=midnight - 7 * attention.DAY))
    assert first == 28
    with reading(people.world.engine) as connection:
        found = attention.volumes(connection, site(people), None, now)
        hidden = attention.volumes(connection, site(people), "H14.7", now)
        young = attention.volumes(connection, site(people), None, now - 5 * attention.DAY)
    (row,) = found.rows
    assert (row.agency, row.days, row.usual, row.unusual) == ("H14.6", (2,) * 7, 2.0, "more") and row.today == 60
    assert found.days == attention.DAYS and found.since == pytest.approx(midnight)
    assert hidden.rows == () and young.days == 2 and not any(each.unusual for each in young.rows)


async def test_a_busy_day_is_compared_over_a_shorter_span(
    people: Desk, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_MOST_OF_DAY", 10)
    for number in range(20):
        story.alert(f"BC-{number}")
    story.settle()
    with reading(people.world.engine) as connection:
        found = attention.volumes(connection, site(people), None, people.now() + 30)
    assert found.until - found.since <= 60 + 1


async def test_certificates_that_end_without_a_successor(people: Desk) -> None:
    key = tables.system_key
    with writing(people.world.engine) as connection:
        soon = people.now() + 5 * attention.DAY
        connection.execute(update(key).where(key.c.key_id == "canh-bao.tls-1").values(valid_until=soon))
    with reading(people.world.engine) as connection:
        listed = attention.ending(connection, None, people.now())
        assert [(each.key, each.agency) for each in listed] == [("canh-bao.tls-1", "H14.2")]
        assert attention.ending(connection, "H14.7", people.now()) == []


async def test_each_role_has_a_home(people: Desk, story: Story) -> None:
    story.refused()
    story.settle()
    for role in Role:
        person = await people.signed_in(f"lan-{role}", role, agency="H14.7")
        for language in ("vi", "en"):
            person.language = language
            assert (await person.get("/console")).status == 200, role


async def test_who_came_by_a_link_is_told_to_set_a_password(people: Desk) -> None:
    with people.changing() as change:
        store.add(change, Account("lan", "H14.0", "Lan", (Role.OFFICER,), True))
        token = store.make_link(change, "lan")
    lan = Person(people, "lan")
    entered = await lan.send(f"/console/link/{token}", {})
    lan.cookie = entered.headers["set-cookie"].partition(";")[0]
    page = Reader((await lan.get("/console")).body)
    assert "Set a password now" in page.text and "/console/account/factors" in page.links
    with people.changing() as change:
        store.set_factors(change, "lan", "x", b"x")
    assert "Set a password now" not in Reader((await lan.get("/console")).body).text
