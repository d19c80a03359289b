"""`lgsp client feed-check`: compares a feed, as the system reads it, with the digests that the gateway sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import moment, rfc3339
from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit
from security.transparency.periods import HOUR, STATED, begin_of

if TYPE_CHECKING:
    from gateway.client import Client, SealedDigest

commands = typer.Typer()
_PAGE = 1000


@commands.command("feed-check")
@grouped
def client_feed_check(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    kit: Kit,
    since: Annotated[
        str | None, typer.Option("--since", help="Periods that end after this time: 2026-11-24T07:00:00+07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Periods that end at this time or earlier.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read the sealed periods of a feed, and compare them with their digests in the log: is all there, nothing else?"""
    with kit_failures(as_json), kit.client(as_json) as client:
        digests = client.digests(contract, since=since, until=until)
        result = _compared(client, contract, digests)
        if not digests:
            first = client.feed(contract, None, 1, since=since, until=until).events
            told = client.rest("GET", f"/feeds/{contract}/digests?limit=1").json() if first else {}
            result["seals_after"] = _seals_after(first[0], told.get(STATED, HOUR)) if first else None
            emit(result, as_json, _nothing(result["seals_after"]))
        text = "\n".join(
            [
                f"{result['hours']} periods with {result['events']} events are as the log has them"
                f" / {result['hours']} khoảng thời gian với {result['events']} sự kiện khớp với nhật ký",
                *(f"WRONG / SAI: {each}" for each in result["wrong"]),
            ]
        )
        emit(result, as_json, text)


def _seals_after(event: Mapping[str, Any], period: int) -> str | None:
    """The end of the period, of so many seconds, in which an event was sequenced."""
    at = moment(event.get("sequencedtime"))
    return None if at is None else rfc3339(begin_of(at, period) + period)


def _nothing(seals_after: str | None) -> str:
    """What is said where no period is sealed: that nothing was compared, and since when something can be."""
    if seals_after is None:
        return (
            "Nothing was compared: the feed has no event here, and a period without events is not sealed."
            " / Chưa so sánh gì: luồng chưa có sự kiện nào ở đây, và khoảng thời gian không có sự kiện thì không được"
            " niêm phong."
        )
    return (
        f"Nothing was compared: no period is sealed here yet. The first is, some seconds after {seals_after}."
        " / Chưa so sánh gì: chưa có khoảng thời gian nào được niêm phong."
        f" Khoảng đầu tiên được niêm phong vài giây sau {seals_after}."
    )


def _compared(client: Client, contract: str, digests: tuple[SealedDigest, ...]) -> dict[str, Any]:
    from gateway.client import Digesting

    digesting = Digesting()
    if digests:
        after, more = None, True
        while more:
            page = client.feed(contract, after, _PAGE, since=digests[0].since, until=digests[-1].until)
            for event in page.events:
                digesting.add(event)
            after, more = page.next, page.more
    comparison = digesting.compare(digests)
    return {
        "ok": comparison.ok,
        "hours": comparison.whole,
        "events": comparison.events,
        "until": digests[-1].until if digests else None,
        "unproved": sum(not each.proved for each in digests),
        "wrong": list(comparison.wrong),
    }
