"""Agencies report steps: what the workflow permits is taken with the report, or the report is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.transfer.stages import Answered, Refused
from tests.exchange.house import Call
from tests.workflow.desks import CENTRE, Town


def opened(town: Town) -> tuple[str, str]:
    """The handling of a report to the builders, and its transfer."""
    transfer = town.report()
    town.follow()
    return town.of(transfer).id, transfer


def code(outcome: Answered | Refused) -> str | None:
    return outcome.failure.code if isinstance(outcome, Refused) else None


def test_a_reported_step_is_taken_and_told_in_both_feeds(town: Town) -> None:
    id, _ = opened(town)
    outcome = town.tell("do-thi", handling=id, step="accept", reason="Đã nhận", time="2026-11-24T14:01:00+07:00")
    assert isinstance(outcome, Answered) and outcome.answer is not None
    assert (outcome.answer["handling"], outcome.answer["state"]) == (id, "accepted") and "due" in outcome.answer
    step = town.seen(id).steps[-1]
    assert (step.step.actor, step.step.party, step.step.transfer) == (
        "H14.3/do-thi", "agency", outcome.receipt.transfer,
    )  # fmt: skip
    assert step.reason == "Đã nhận"
    event = town.events()[-1]["data"]
    assert (event["step"], event["report"], event["by"]) == ("accept", outcome.receipt.transfer, "H14.3")
    assert town.wrong() == ()


@pytest.mark.parametrize("by", ["message", "transfer"])
def test_a_message_is_named_by_its_own_id_or_by_that_of_its_transfer(town: Town, by: str) -> None:
    id, transfer = opened(town)
    named = f"m-{town.sent}" if by == "message" else transfer
    outcome = town.tell("do-thi", message=named, step="accept")
    assert isinstance(outcome, Answered) and outcome.answer is not None and outcome.answer["handling"] == id
    assert isinstance(town.tell("phan-anh", message=named, step="cancel", reason="Nhầm"), Answered)
    assert town.seen(id).row.state == "cancelled" and town.wrong() == ()


@pytest.mark.parametrize(
    ("system", "message", "refused"),
    [
        ("do-thi", {"step": "finish", "reason": "x"}, "workflow.not-now"),
        ("phan-anh", {"step": "accept"}, "workflow.other-party"),
        ("canh-bao", {"step": "accept"}, "handling.unknown"),
        ("do-thi", {"step": "refuse"}, "handling.no-reason"),
        ("do-thi", {"step": "respond"}, "workflow.no-step"),
        ("do-thi", {"step": "forward", "reason": "x", "to": "H14.99"}, "handling.no-target"),
        ("y-te", {"step": "accept"}, "access.no-contract"),
    ],
)
def test_what_the_workflow_or_a_grant_does_not_permit_is_refused_and_changes_nothing(
    town: Town, system: str, message: dict[str, str], refused: str
) -> None:
    id, _ = opened(town)
    assert code(town.tell(system, handling=id, **message)) == refused
    assert town.seen(id).row.version == 1
    town.sequence()
    assert town.wrong() == ()


@pytest.mark.parametrize("names", [{}, {"handling": "nothing"}, {"message": "nothing"}])
def test_a_report_of_nothing_is_refused(town: Town, names: dict[str, str]) -> None:
    opened(town)
    assert code(town.tell("do-thi", step="accept", **names)) == "handling.unknown"


def test_a_repeat_gets_the_answer_of_the_first_and_takes_no_second_step(town: Town) -> None:
    id, _ = opened(town)
    first = town.tell("do-thi", "r-1", handling=id, step="accept")
    again = town.tell("do-thi", "r-1", handling=id, step="accept")
    assert isinstance(first, Answered) and isinstance(again, Answered)
    assert again.answer == first.answer and town.seen(id).row.version == 2
    assert code(town.tell("do-thi", "r-2", handling=id, step="accept")) == "workflow.not-now"


def test_of_two_reports_at_once_one_is_taken(town: Town) -> None:
    id, _ = opened(town)
    messages: list[dict[str, Any]] = [
        {"handling": id, "step": "accept"}, {"handling": id, "step": "refuse", "reason": "x"},
        {"handling": id, "step": "accept"}, {"handling": id, "step": "merge", "reason": "x", "into": id},
    ]  # fmt: skip

    async def all_at_once() -> list[Any]:
        calls = [
            Call("handling-report/v1", "reportStep", f"r-{number}", each, "do-thi")
            for number, each in enumerate(messages)
        ]
        return list(await asyncio.gather(*(town.gateway.carry(each) for each in calls)))

    outcomes = asyncio.run(all_at_once())
    taken = [each for each in outcomes if isinstance(each, Answered)]
    town.sequence()
    # `accept`, then `refuse` is a way that the table has.
    assert 1 <= len(taken) == town.seen(id).row.version - 1 <= 2 and town.wrong() == ()
    assert {code(each) for each in outcomes} <= {None, "workflow.not-now", "handling.no-target"}


def test_an_agency_that_gets_it_from_another_reports_and_the_first_no_longer(town: Town) -> None:
    id, transfer = opened(town)
    outcome = town.tell("do-thi", message=transfer, step="forward", reason="Của xã", to="H14.22")
    assert isinstance(outcome, Answered)
    assert code(town.tell("do-thi", handling=id, step="accept")) == "handling.unknown"
    assert isinstance(town.tell("truong-ha", message=transfer, step="accept"), Answered)
    town.act(id, "merge", CENTRE, "Trùng", into=opened(town)[0])
    assert town.wrong() == ()
