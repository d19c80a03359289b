"""Shows what waits, is dead or in doubt, and carries out what somebody decides about it (`gateway.delivery`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.delivery import bulk, listing
from gateway.delivery.bulk import REPEATABLE, Item, Preview, Progress
from gateway.delivery.decisions import NOTES, Act, Decision, decide
from gateway.delivery.listing import STATES, Listed, Message, Standing, Wanted, standing
from gateway.journal import jobs
from gateway.journal.jobs import Job
from gateway.journal.logged import Decided, FailedTries, decisions, failed_tries
from gateway.registry.changes.orders import Orders
from gateway.transfer.states import State
from gateway.vault.stores import open_vault
from gateway.vault.vault import Vault

PAGE: Final = 50


class Queue(NamedTuple):
    """A page of one list. A count of `COUNTED` stands for at least as many.

    `ended_by`: who ended a transfer of the page, by transfer; those that nobody ended are missing.
    """

    wanted: Wanted
    listed: Listed
    counts: Mapping[str, int]
    providers: tuple[str, ...]
    jobs: tuple[Job, ...]
    ended_by: Mapping[str, Decided]


class Seen(NamedTuple):
    """One message with its tries, and what people decided about it."""

    message: Message
    failed: FailedTries
    decided: tuple[Decided, ...]
    stands: Standing | None


def wanted_of(given: Mapping[str, str]) -> Wanted:
    """Raises `console.form`."""
    state = given.get("state", "").strip() or "in-doubt"
    if state not in STATES:
        raise CONSOLE_FORM(field="state", why=" | ".join(STATES))
    texts = {name: given.get(name, "").strip() or None for name in ("provider", "failure")}
    for name, text in texts.items():
        if text is not None and len(text) > 100:
            raise CONSOLE_FORM(field=name, why="more than 100 characters")
    return Wanted(state, **texts)


def queue(desk: Desk, wanted: Wanted, after: str | None) -> Queue:
    providers = sorted(each.id for each in desk.services.registry.snapshot.systems.values() if each.endpoint)
    with desk.reading() as connection:
        listed = listing.page(connection, wanted, after, PAGE)
        given_up = [each.transfer for each in listed.messages if each.state == State.DEAD]
        ended = decisions(connection, given_up, (NOTES[Act.DISCARD], NOTES[Act.CANCEL])) if given_up else []
        return Queue(
            wanted,
            listed,
            {state: listing.count(connection, state) for state in STATES},
            tuple(providers),
            tuple(jobs.newest(connection, bulk.KIND, limit=5)),
            {each.transfer: each for each in ended},
        )


def mark(desk: Desk) -> object:
    """A small value that changes with page one of each list, its count, and the newest bulk retries."""
    with desk.reading() as connection:
        lists = [
            (listing.count(connection, each), listing.page(connection, Wanted(each), None, PAGE).messages)
            for each in STATES
        ]
        return lists, [(each.id, each.state) for each in jobs.newest(connection, bulk.KIND, limit=5)]


def message(desk: Desk, transfer: str) -> Seen:
    """Raises `console.no-page`."""
    with desk.reading() as connection:
        found = listing.one(connection, transfer)
        if found is None:
            raise CONSOLE_NO_PAGE(path=transfer[:60])
        decided = decisions(connection, [transfer], frozenset(NOTES.values()))
        stands = standing(connection, transfer)
        return Seen(found, failed_tries(connection, transfer), tuple(decided), stands)


def settle(desk: Desk, viewer: Viewer, given: tuple[str, str, str], *, unsent: bool = False) -> tuple[State, str]:
    """`given`: transfer, act, reason. Returns the state afterwards, and the kind of the entry."""
    transfer, name, reason = given
    try:
        act = Act(name)
    except ValueError:
        raise CONSOLE_FORM(field="act", why=" | ".join(Act)) from None
    decision = Decision(
        transfer=transfer, act=act, reason=reason, actor=viewer.actor, at=desk.now(), unsent=unsent and act is Act.RETRY
    )
    return decide(desk.services.engine, _vault(desk), decision), NOTES[act]


def preview(desk: Desk, wanted: Wanted) -> tuple[Preview, tuple[Message, ...]]:
    """The set of a bulk retry. Raises `console.form` for a list that takes none."""
    if wanted.state not in REPEATABLE:
        raise CONSOLE_FORM(field="state", why=" | ".join(REPEATABLE))
    with desk.reading() as connection:
        return bulk.preview(connection, wanted), listing.first(connection, wanted, bulk.CAP).messages


def start(
    desk: Desk, viewer: Viewer, wanted: Wanted, chosen: tuple[str, Sequence[str] | None], reason: str, *, unsent: bool
) -> Job:
    """`chosen`: the digest of the preview, and its transfers. Without them it has to be that of the list as it is."""
    with desk.writing() as connection:
        seen = bulk.previewed(connection, wanted, *chosen)
        by = (viewer.actor, reason)
        return bulk.start(connection, Orders(desk.hash_key), wanted, seen, by, desk.now(), unsent=unsent)


def progress(desk: Desk, id: str) -> tuple[Progress, list[Item]]:
    """Raises `console.no-page`."""
    with desk.reading() as connection:
        job = jobs.find(connection, id)
        if job is None or job.kind != bulk.KIND:
            raise CONSOLE_NO_PAGE(path=id[:60])
        return bulk.progress(connection, job), bulk.items(connection, id)


def move(desk: Desk, viewer: Viewer, given: tuple[str, str, str]) -> None:
    """Stops or resumes a bulk retry. `given`: its id, `stop` or `resume`, the reason."""
    id, how, reason = given
    acts: dict[str, Any] = {"stop": bulk.stop, "resume": bulk.resume}
    if how not in acts:
        raise CONSOLE_FORM(field="how", why=" | ".join(acts))
    with desk.writing() as connection:
        acts[how](connection, id, (viewer.actor, reason), desk.now())


def _vault(desk: Desk) -> Vault:
    """It seals the event of a transfer that ends; nothing is opened."""
    return open_vault(desk.services.settings, desk.services.engine)
