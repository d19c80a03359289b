"""`lgsp scorecard`: how component systems did, judged from the journal alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.scorecards.cards import Card
    from gateway.scorecards.scoring import Share

top = typer.Typer()


@top.command()
def scorecard(
    system: Annotated[str | None, typer.Argument(help="Id of a system; all without it.")] = None,
    data: Data = None,
    day: Annotated[str | None, typer.Option("--day", help="One day in Vietnam, such as 2026-11-24.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="The first day; 30 days up to the last without it.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The last day; yesterday without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Availability, answers, timeliness, freshness, completeness, validity, duplication and corrections of systems,
    with a score out of 100 and its arithmetic.
    """
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine
    from gateway.journal.database import snapshot as one_moment
    from gateway.registry.snapshot import load_snapshot
    from gateway.scorecards.cards import BadDays, Dates, cards

    now = time.time()
    if day is not None and (since is not None or until is not None):
        what = "--day goes without --from and --until / --day không đi cùng --from, --until"
        fail(
            Exit.USAGE,
            "bad-days",
            what,
            "Give one day, or the first and last. / Nêu một ngày, hoặc ngày đầu và cuối.",
            as_json,
        )
    try:
        dates = Dates.of(now, day or since or "", day or until or "")
    except BadDays as bad:
        then = f"Such as 2026-11-24; number and last day / Ví dụ 2026-11-24; số ngày và ngày cuối: {bad}"
        fail(Exit.USAGE, "bad-days", "no such days / ngày không hợp lệ", then, as_json)
    settings = load_instance(data, as_json)
    with one_moment(open_engine(settings.database_url)) as connection:  # or what moves meanwhile counts below zero
        snapshot = load_snapshot(connection)
        if system is not None and system not in snapshot.systems:
            refuse("system", system, snapshot.systems, as_json)
        chosen = [each for each in snapshot.systems.values() if system in (None, each.id)]
        made = cards(connection, snapshot, sorted(chosen, key=lambda each: (each.agency, each.id)), dates, now)
    text = "\n".join(map(_line, made)) if system is None else "\n".join(map(_text, made))
    emit({"ok": True, "scorecards": [each.to_json() for each in made]}, as_json, text or "no systems")


def _line(card: Card) -> str:
    best = card.score.best
    advice = f"  mend {best.part}, gain {best.gain / 10:.1f} points" if best is not None else ""
    change = "" if card.change is None else f" ({card.change:+.1f})"
    return f"{_points(card.score.tenths)}{change:<9} {card.system.name}{advice}"


def _text(card: Card) -> str:
    lines = [f"{card.system.name}, {card.dates.first} – {card.dates.last}", ""]
    for each in card.score.parts:
        share = each.share
        if not share.judged:
            lines.append(f"  {each.part:<13} weight {each.weight:>3}  not judged: {_why(share)}")
            continue
        lines.append(
            f"  {each.part:<13} weight {each.weight:>3}  {share.numerator} / {share.denominator}"
            f"  {each.points / 10:.1f} of {each.possible / 10:.1f} points,"
            f" likely {each.low / 10:.1f}–{each.high / 10:.1f}"
        )
    lines += ["", f"  score {_points(card.score.tenths).strip()} of 100; {card.dates.number} days before: "]
    lines[-1] += _points(card.before.tenths).strip()
    if (span := card.score.interval) is not None:
        lines.append(f"  likely between {span[0] / 10:.1f} and {span[1] / 10:.1f}")
    if (best := card.score.best) is not None:
        lines.append(f"  mend {best.part}, gain {best.gain / 10:.1f} points")
    return "\n".join(lines)


def _why(share: Share) -> str:
    return f"{share.why} ({share.denominator} of {share.least})" if share.why == "too-few" else f"{share.why}"


def _points(tenths: int | None) -> str:
    return "    –" if tenths is None else f"{tenths / 10:5.1f}"
