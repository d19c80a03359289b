"""`lgsp handling list|show|step`: how alerts and reports are handled, and steps that a person takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import casework
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.workflow.records import Actor, Office

commands = typer.Typer(no_args_is_help=True, help="How alerts and reports are handled: states, deadlines, steps.")
Handling = Annotated[str, typer.Argument(help="The id of the handling.")]


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """Which handlings."""

    agency: Annotated[str | None, typer.Option("--agency", help="Only those that this agency handles.")] = None
    contract: Annotated[str | None, typer.Option("--contract", help="Only those of this contract.")] = None
    state: Annotated[str | None, typer.Option("--state", help="Only those in this state.")] = None
    kind: Annotated[str | None, typer.Option("--kind", help="Only those of this kind.")] = None
    area: Annotated[str | None, typer.Option("--area", help="Only those of this area.")] = None
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose deadline is over.")] = False
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, instead of the open ones.")] = False
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")] = 50
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on behind this one, from the page before.")] = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is done."""

    agency: Annotated[str, typer.Option("--agency", help="The agency for which the step is taken.")]
    reason: Annotated[str, typer.Option("--reason", help="Why, or with which result; all parties read it.")] = ""
    to: Annotated[
        str | None, typer.Option("--to", help="With `forward` and `@open`: the code of the other agency.")
    ] = None
    into: Annotated[str | None, typer.Option("--into", help="With `merge`: the id of the other handling.")] = None


@commands.command("list")
@grouped
def handling_list(filtered: Filtered, data: Data = None, as_json: AsJson = False) -> None:
    """Open handlings, the nearest deadline first; overdue ones are marked."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.workflow import reading
    from gateway.workflow.showing import listed

    settings, now = load_instance(data, as_json), time.time()
    sought = reading.Sought(
        agency=filtered.agency,
        contract=filtered.contract,
        state=filtered.state,
        kind=filtered.kind,
        area=filtered.area,
        ended=filtered.ended,
        before=now if filtered.overdue else None,
    )
    with snapshot(open_engine(settings.database_url)) as connection:
        found = reading.page(connection, sought, filtered.cursor, filtered.limit)
        counts = reading.counts(connection, now, filtered.agency)
    rows = [listed(each, now) for each in found.handlings]
    result = {
        "handlings": rows,
        "next": found.next,
        "counts": [each._asdict() for each in counts],
    }
    emit({"ok": True, **result}, as_json, casework.listed(map(casework.handling_line, rows)))


@commands.command("show")
def handling_show(handling: Handling, data: Data = None, as_json: AsJson = False) -> None:
    """One handling: its steps, its deadlines with each minute counted or skipped, and the possible steps."""
    from contracts.workflow.model import Party
    from gateway.workflow import reading
    from gateway.workflow.judging import possible
    from gateway.workflow.showing import shown

    settings, now = load_instance(data, as_json), time.time()
    office = _office(settings)
    with office.engine.connect() as connection:
        seen = reading.one(connection, office, handling)
    told = shown(seen, possible(seen.workflow, seen.row, [each for each in Party if each is not Party.GATEWAY]), now)
    emit({"ok": True, **told}, as_json, "\n".join(casework.handling_lines(told)))


@commands.command("step")
@grouped
def handling_step(
    handling: Handling,
    step: Annotated[str, typer.Argument(help="The step, such as accept; `show` names those that are possible.")],
    given: Step,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a step of a handling for an agency. It is logged, and all parties see it."""
    from gateway.workflow import acting
    from gateway.workflow.records import Wanted
    from gateway.workflow.showing import listed

    settings = load_instance(data, as_json)
    office = _office(settings)
    who = _actor(office, given.agency, as_json)
    row = acting.act(office, handling, Wanted(step, given.reason, given.to, given.into), who)
    told = listed(row, time.time())
    emit({"ok": True, **told}, as_json, f"{row.id}: {row.state} ({row.agency})")


def _office(settings: Settings) -> Office:
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from gateway.registry.registry import Registry
    from gateway.vault.stores import open_vault
    from gateway.workflow.records import Office
    from security.transparency.entry import keyed

    engine = open_engine(settings.database_url)
    return Office(
        engine=engine,
        registry=Registry(engine),
        vault=open_vault(settings, engine),
        hash_id=partial(keyed, Keyring(settings).hash_key()),
        clock=time.time,
    )


def _actor(office: Office, agency: str, as_json: bool) -> Actor:
    from gateway.registry.own_feed import CENTRE
    from gateway.workflow.records import Actor

    known = office.registry.snapshot.agency(agency)
    if known is None:
        what = f"there is no agency {agency} / không có cơ quan {agency}"
        fail(
            Exit.USAGE,
            "no-agency",
            what,
            "`lgsp registry show` lists them. / `lgsp registry show` liệt kê các cơ quan.",
            as_json,
        )
    return Actor(actor(), known.code, CENTRE in known.roles)
