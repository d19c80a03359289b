"""Handlings under attack: steps at once, other agencies' handlings, texts that nobody sees."""

from __future__ import annotations

import pytest

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.journal.append import apply
from gateway.journal.batch import DependentWrites
from gateway.journal.database import lock_of, writing
from gateway.journal.write import Write
from gateway.registry.changes import suspending
from gateway.registry.changes.notices import Notice
from gateway.registry.seals.sealing import changing
from gateway.workflow import acting, judging, opening
from gateway.workflow.acting import prepare
from gateway.workflow.records import Actor, Wanted
from tests.exchange.house import sample
from tests.registry.making import contracts
from tests.workflow.conftest import town as _town
from tests.workflow.desks import ALERTS, BUILDERS, CENTRE, SENDER, Town

FARMERS = Actor("H14.2/canh-bao", "H14.2")
town = _town


def opened(town: Town) -> str:
    report = town.report()
    town.follow()
    return town.of(report).id


def write(town: Town, *units: Write) -> None:
    with writing(town.office.engine, lock_of(town.office.engine)) as connection:
        apply(connection, units)


def code_of(town: Town, id: str, step: str, actor: Actor, reason: str = "x", **more: str) -> str:
    with pytest.raises(Failure) as refused:
        town.act(id, step, actor, reason, **more)
    return refused.value.code


@pytest.mark.parametrize("together", [True, False])
def test_two_handlings_that_are_merged_into_each_other_at_once_do_not_both_end(town: Town, together: bool) -> None:
    one, other = opened(town), opened(town)
    with town.office.engine.connect() as connection:  # both are judged before one is written, as at two doors
        first = prepare(connection, town.office, one, Wanted("merge", "x", into=other), BUILDERS)
        second = prepare(connection, town.office, other, Wanted("merge", "x", into=one), BUILDERS)
    if not together:
        write(town, first.write)
    with pytest.raises(DependentWrites):
        write(town, *((first.write, second.write) if together else (second.write,)))
    assert [town.seen(each).row.ended for each in (one, other)].count(True) == (0 if together else 1)
    town.sequence()
    assert town.wrong() == ()


def test_a_handling_does_not_vanish_into_one_that_ended_meanwhile(town: Town) -> None:
    one, other = opened(town), opened(town)
    with town.office.engine.connect() as connection:
        merge = prepare(connection, town.office, one, Wanted("merge", "x", into=other), BUILDERS)
    town.act(other, "cancel", reason="x", actor=CENTRE)
    with pytest.raises(DependentWrites):
        write(town, merge.write)
    assert code_of(town, one, "merge", BUILDERS, into=other) == "handling.no-target"


def test_an_agency_merges_into_no_handling_in_which_it_has_no_part(town: Town) -> None:
    own, alert = opened(town), town.alert("a-1")
    town.follow()
    foreign = opened(town)
    town.act(foreign, "forward", reason="x", to="H14.2")
    assert code_of(town, own, "merge", BUILDERS, into=foreign) == "handling.unknown"
    assert code_of(town, own, "merge", CENTRE, into=town.of(alert).id) == "handling.no-target"  # of another contract
    assert town.act(own, "merge", CENTRE, "x", into=foreign).merged_into == foreign


def test_an_agency_that_handed_on_what_it_had_can_be_involved_again(town: Town) -> None:
    first = opened(town)
    second = town.act(first, "@open", CENTRE, "x", to="H14.2")
    assert code_of(town, first, "@open", CENTRE, to="H14.2") == "handling.no-target"
    town.act(second.id, "forward", FARMERS, "x", to="H14.7")
    third = town.act(first, "@open", CENTRE, "x", to="H14.2")
    town.act(first, "forward", reason="x", to="H14.6")
    fourth = town.act(third.id, "@open", FARMERS, "x", to="H14.3")
    ids = {first, second.id, third.id, fourth.id}
    assert len(ids) == 4 and {third.agency, fourth.agency} == {"H14.2", "H14.3"}
    town.follow()
    assert town.wrong() == () and len(town.handlings(transfer=fourth.transfer)) == 4


def test_a_suspended_agency_gets_no_handling(town: Town) -> None:
    id = opened(town)
    with changing(town.office.engine, None) as act:
        notice = Notice(Words("Nghỉ", "Off"), town.gateway.now, None)
        suspending.suspend(act, ("agency", "H14.2"), notice, "test")
    with town.office.engine.connect() as connection:
        town.office.registry.refresh(connection)
    assert code_of(town, id, "forward", BUILDERS, to="H14.2") == "handling.no-target"
    assert code_of(town, id, "@open", BUILDERS, to="H14.2") == "handling.no-target"


@pytest.mark.parametrize("text", ["a\x00", "a\x0b", "a\ud800b", "\u202egnort", "\x85 a", "a\uffff", "\x7f"])
def test_a_reason_that_nobody_sees_or_xml_cannot_carry_is_refused(town: Town, text: str) -> None:
    id = opened(town)
    assert code_of(town, id, "refuse", BUILDERS, text) in ("handling.bad-reason", "handling.no-reason")
    assert code_of(town, id, "@open", BUILDERS, text, to="H14.2") in ("handling.bad-reason", "handling.no-reason")
    assert town.seen(id).row.version == 1


@pytest.mark.parametrize(
    "text", ["Ệ" * 2000, "e\u0323\u0302" * 600, "שלום", "=1+1", "<b>&amp;</b>", "a\r\n\tb", "👨‍👩‍👧"]
)
def test_any_other_text_is_shown_as_it_was_written(town: Town, text: str) -> None:
    id = opened(town)
    town.act(id, "refuse", reason=text)
    assert town.seen(id).steps[-1].reason == text and len(town.events()) == 2 and town.wrong() == ()


def test_the_steps_of_a_handling_are_bounded_and_it_can_still_end(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (judging, opening):
        monkeypatch.setattr(module, "MOST_STEPS", 7)
    id, taken = opened(town), 1
    with pytest.raises(Failure) as refused:
        for number in range(20):
            town.act(id, "forward", CENTRE, "x", to=("H14.2", "H14.3")[number % 2])
            taken += 1
    assert refused.value.code == "handling.too-many-steps" and taken == town.seen(id).row.version == 7

    def offered(*actors: Actor) -> set[str]:
        """The steps that nobody of these is refused."""
        return {each.name for actor in actors for each in town.seen(id).possible(actor)}

    assert offered(BUILDERS, CENTRE) == {"accept", "cancel", "merge"}
    assert code_of(town, id, "forward", CENTRE, to="H14.2") == "handling.too-many-steps"
    for step in ("accept", "finish"):  # nearer to the end
        town.act(id, step, BUILDERS, "x")
    assert town.seen(id).row.ended and offered(BUILDERS, CENTRE, SENDER) == set()
    assert code_of(town, id, "reopen", SENDER) == "handling.too-many-steps"
    town.sequence()
    assert town.wrong() == ()


def test_corrections_beyond_the_bound_are_no_steps_and_a_recall_is(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (judging, opening):
        monkeypatch.setattr(module, "MOST_STEPS", 3)
    town.alert("a-1")
    town.follow()
    (row,) = town.handlings()
    for number in range(4):
        references = f"s@x,a-{number + 1},{row_sent(town)}"
        town.alert(f"a-{number + 2}", msgType="Update", references=references)
        town.follow()
    assert town.seen(row.id).row.version == 3 and town.wrong() == ()
    town.alert("a-9", msgType="Cancel", references=f"s@x,a-1,{row_sent(town)}")
    town.follow()
    assert (town.seen(row.id).row.state, town.wrong()) == ("cancelled", ())


def row_sent(town: Town) -> str:
    return str(sample(contracts()[ALERTS], "Alert")["sent"])


def test_the_handlings_of_a_message_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "MOST_OF_MESSAGE", 4)
    first = opened(town)
    for _ in range(3):  # an agency that hands on what it had can be involved again
        other = town.act(first, "@open", CENTRE, "x", to="H14.2")
        town.act(other.id, "forward", FARMERS, "x", to="H14.7")
    assert code_of(town, first, "@open", CENTRE, to="H14.2") == "handling.too-many"
    assert len(town.handlings()) == 4
