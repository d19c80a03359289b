"""Live pages: however many streams somebody opens, the pages of others are renewed."""

from __future__ import annotations

import pytest

from gateway.console.site import live
from gateway.console.site.live import Hub, Who
from tests.console.test_live import CHANGED, END, Reader, State

LATER = "event: later"


async def opened(hub: Hub, state: State, count: int, account: str, *, sessions: bool) -> tuple[list[Reader], list[str]]:
    """Streams of one account, each in a session of its own or all in one, and the first that each is told."""
    readers = [Reader(hub, state, who=Who(account, str(each) if sessions else "")) for each in range(count)]
    return readers, [await each.next(CHANGED, LATER, END) for each in readers]


@pytest.mark.attack("flood")
@pytest.mark.parametrize(("sessions", "share"), [(False, live.OF_SESSION), (True, live.OF_ACCOUNT)])
async def test_streams_beyond_a_share_come_later(sessions: bool, share: int) -> None:
    hub, state = Hub(), State()
    readers, told = await opened(hub, state, share + 3, "mallory", sessions=sessions)
    assert told == [CHANGED] * share + [LATER] * 3 and hub.readers == share
    for each in readers:
        await each.close()
    assert hub.readers == 0 and not hub._watched


@pytest.mark.attack("flood")
async def test_a_full_desk_has_a_place_for_whoever_has_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts that hold every place give one up to each other person; nobody is told that his page has ended."""
    monkeypatch.setattr(live, "MOST", 8)
    hub, state = Hub(), State()
    mallory, _ = await opened(hub, state, 5, "mallory", sessions=True)
    trudy, _ = await opened(hub, state, 3, "trudy", sessions=True)
    officers = [Reader(hub, state, who=Who(f"officer-{each}", "")) for each in range(6)]
    assert [await each.next(CHANGED, LATER, END) for each in officers] == [CHANGED] * 6
    assert hub.readers == 8
    state.value = 1
    assert [await each.next(CHANGED, LATER, END) for each in (mallory[0], trudy[0])] == [CHANGED] * 2
    for each in (*mallory[1:], *trudy[1:]):
        assert await each.next(LATER, END) == LATER
    late = Reader(hub, state, who=Who("officer-9", ""))
    assert await late.next(CHANGED, LATER, END) == LATER  # everybody has one
    for each in (*officers, *mallory, *trudy):
        await each.close()
    assert hub.readers == 0 and not hub._watched
    assert await Reader(hub, state, who=Who("officer-9", "")).next(CHANGED, LATER, END) == CHANGED
