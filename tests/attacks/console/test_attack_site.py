"""What somebody without a session could bring to the documentation site, or learn from it."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from gateway.console.documentation.markdown import guide
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.test_documentation import site
from tests.doors.api.client import World

pytestmark = pytest.mark.attack("the documentation site")


async def test_addresses_that_no_page_has(world: World) -> None:
    at = site(world, "production")
    for path in ("/docs/errors/no.such", "/docs/fr", "/docs/en/nothing", "/docs/en/changes/nothing/v1", "/docs/../x",
                 "/docs/en/in-force/x", "/docs/en/%00", "/docs/pictures/../README.md", "/docs/en/README",
                 "/docs/en/changes/indicator/v1/x", "/docs//", "/docs/en//integrate"):  # fmt: skip
        assert (await at.get(path)).status in (303, 404), path


async def test_a_question_is_shown_as_text_and_costs_little(world: World) -> None:
    at = site(world, "production")
    evil = '"><script>alert(1)</script>'
    page = (await at.get(f"/docs/en/search?q={quote(evil)}")).body.decode()
    assert "<script" not in page and html.escape(evil) in page.replace("&#34;", "&quot;")
    for asked in ("", "%00", "%ff", "a" * 5_000, "+" * 500, "q&q=" * 99, "%F0%9F%98%80" * 50, ".*(" * 30):
        assert (await at.get(f"/docs/vi/search?q={asked}")).status == 200


def test_a_guide_cannot_bring_a_tag_or_an_address_of_its_own() -> None:
    links = "[a](javascript:alert(1)) [b](data:text/html,x) [c](//evil.example) [d](../secret) [e](other.md#x)"
    picture, table = "![p](https://evil.example/x.png)", "| a |\n|---|\n| <img src=x> |"
    text = "\n\n".join(
        ["# Title `x` <b>", "<script>alert(1)</script>", links, picture, "## A, b! c", table, "## A, b! c"]
    )
    made = guide(text, lambda target: ("/docs/en/other#x", "Other") if target == "other.md#x" else None)
    assert not [each for each in ("<script", "<img", "<b>", 'href="javascript', "evil.example/x") if each in made.html]
    assert re.findall(r'href="([^"#]+)', made.html) == ["/docs/en/other"]
    assert made.contents == (("a-b-c", "A, b! c"), ("a-b-c-1", "A, b! c"))


def hidden_marks(world: World) -> set[str]:
    """Writes marks into what the registry says of systems, agencies, officers and grants, and names them."""
    columns = (
        tables.system.c.title_vi,
        tables.system.c.title_en,
        tables.agency.c.name_vi,
        tables.officer.c.name_vi,
    )
    with writing(world.engine) as connection:
        for number, column in enumerate(columns):
            connection.execute(update(column.table).values({column.name: f"bi-mat-{number}"}))
        connection.execute(
            tables.instance.update().where(tables.instance.c.key == "registry.revision").values(value="999")
        )
        keys = set(connection.scalars(select(tables.system_key.c.key_id)))
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    assert any(each.title.vi == "bi-mat-0" for each in world.services.registry.snapshot.systems.values())
    return keys | {"bi-mat-", str(world.services.settings.data), world.services.settings.database_url}


async def test_nothing_of_the_registry_but_published_contracts_is_shown(world: World) -> None:
    """The other pages are made without the registry."""
    at, private = site(world, "sandbox"), hidden_marks(world)
    names = world.services.registry.snapshot.contracts
    shown = ["/docs/vi/in-force", "/docs/en/search?q=bi%20mat", "/docs/en/search?q=sign-1"]
    shown += [f"/docs/vi/changes/{each}" for each in names] + [f"/contracts/{each}?lang=vi" for each in names]
    for path in shown:
        answer = await at.get(path, accept="text/html")
        assert answer.status == 200 and not [each for each in private if each in answer.body.decode()], path
