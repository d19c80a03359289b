"""The life of a transfer: nothing happens that the table does not hold, final states stay, every state is reached."""

from __future__ import annotations

import itertools

import pytest

from gateway.transfer.states import FINAL, TRANSITIONS, Event, State, after, drawing


@pytest.mark.parametrize(("state", "event"), list(itertools.product([None, *State], Event)))
def test_a_step_is_in_the_table_or_cannot_happen(state: State | None, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        assert state not in FINAL
    else:
        with pytest.raises(LookupError, match="cannot have"):
            after(state, event)


def test_every_state_is_reached_from_the_start_and_leads_to_an_end() -> None:
    steps = [(before, then) for (before, _), then in TRANSITIONS.items()]
    reached: set[State | None] = {None}
    for _ in State:
        reached |= {then for before, then in steps if before in reached}
    assert reached == {None, *State}
    ends: set[State | None] = set(FINAL)
    for _ in State:
        ends |= {before for before, then in steps if then in ends}
    assert ends == {None, *State}


def test_the_drawing_shows_every_step() -> None:
    assert drawing().count("-->") == len(TRANSITIONS) + len(FINAL)
