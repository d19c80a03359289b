"""Article 12: what agencies that supply data do."""

from __future__ import annotations

import pytest

from examples.story import refusals
from examples.story.exchange import ALERTS, read_feed
from examples.story.world import World
from gateway.sandbox.standins import messages
from tests.obligations.calls import ALERT, accepted

pytestmark = pytest.mark.server


@pytest.mark.obligation("12.1")
def test_wrong_data_are_refused_with_the_path_in_the_senders_own_format(world: World) -> None:
    """Article 12.1: a wrong type and an unknown code are refused; each finding names field and rule."""
    refusals.wrong_type(world)
    refusals.unknown_code(world)


@pytest.mark.obligation("12.1")
def test_the_feed_tells_how_complete_and_how_late_a_message_is(world: World) -> None:
    """Article 12.1: with one optional field less, the completeness that travels with the event is less."""
    whole, gap = messages.fire_alarm(), messages.fire_alarm()
    del gap["ghiChu"]
    sent = [accepted(world.rest("bao-chay").call("POST", ALERT, each)) for each in (whole, gap)]

    def both() -> list[tuple[int, int]] | None:
        found = {each["id"]: each for each in read_feed(world, ALERTS)}
        if not set(sent) <= found.keys():
            return None
        assert all(int(found[each]["lgspage"]) >= 0 for each in sent)
        shares = [found[each]["lgspcompleteness"].split("/") for each in sent]
        return [(int(have), int(of)) for have, of in shares]

    one, other = world.wait("both in the feed", both)
    assert one[1] == other[1] and one[0] == other[0] + 1
