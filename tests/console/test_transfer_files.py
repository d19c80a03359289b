"""The files beside a document on the page of its transfer: which, and who fetched them; nothing more for an agency."""

from __future__ import annotations

from sqlalchemy import insert

from contracts.base.ids import new_id
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.console.officer import INDICATOR, Story
from tests.console.people import Desk
from tests.console.test_transfer_pages import page_of
from tests.console.test_transfer_pages import story as story


async def test_files_beside_the_document_are_shown_with_who_fetched_them(people: Desk, story: Story) -> None:
    id, file, size = story.value(), new_id(), 3_000_000
    story.note("opaque-body", {"contract": INDICATOR, "size": size, "sha256": "ab" * 32}, "H14.7/y-te", about=file)
    with writing(people.world.engine) as connection:
        connection.execute(insert(tables.opaque_use).values(body=file, transfer=id))
    story.settle()
    lan = await people.signed_in("lan", Role.OFFICER)
    english = await page_of(lan, f"/console/transfers/{id}")
    for part in ("Files beside the document", file, "3,000,000", "abababababababab…", "not fetched yet"):
        assert part in english, part
    for at, actor in ((0, "H14.0/dieu-hanh"), (0, "H14.4/kinh-te")):
        facts = {"transfer": id, "body": file, "contract": INDICATOR, "from": at, "to": size}
        story.note("opaque-body-read", facts, actor)
    story.settle()
    english = await page_of(lan, f"/console/transfers/{id}")
    assert "not fetched yet" not in english and "H14.0/dieu-hanh" in english
    own = await people.signed_in("binh", Role.AGENCY, agency="H14.7")
    seen = await page_of(own, f"/console/transfers/{id}")
    assert file in seen and "not fetched yet" not in seen and "dieu-hanh" not in seen
