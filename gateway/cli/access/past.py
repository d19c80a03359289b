"""What the commands of `lgsp access` and `lgsp audit` need of the past: the registry of then, versions of a grant, and
the judgement of a transfer by the registry that decided it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from contracts.base.times import rfc3339
from gateway.cli.common import arguments
from gateway.cli.common.labels import both
from gateway.cli.common.output import Exit, fail, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

    from gateway.registry.history import GrantVersion
    from gateway.registry.snapshot import Snapshot
    from gateway.settings import Settings
    from security.grants.grants import Decision, Grant


class Moment(NamedTuple):
    """`registry` has the registry's tables of the time `at`, `here` all tables as they are now."""

    at: float
    registry: Connection
    here: Connection
    past: bool


@contextmanager
def moment(settings: Settings, at: str | None, as_json: bool, *, rights: bool = False) -> Iterator[Moment]:
    """The registry at a time as a person writes it; now, and in the future, it is the present one.

    Present rows that differ from the log are warned of. Where `rights` are asked about, they are not answered from:
    no door grants anything by them.
    """
    from gateway.journal.database import open_engine
    from gateway.registry.seals.reading import differing
    from gateway.registry.seals.sealing import altered

    now = time.time()
    then = now if at is None else arguments.moment(at, as_json)
    with standing_at(open_engine(settings.database_url), then, None if then < now else _PRESENT) as stands:
        if not stands.past and (wrong := differing(stands.here, settings)):
            if rights:
                raise altered(wrong)
            warn(altered(wrong))
        yield stands


_PRESENT: Final = -1
_QUOTA: Final = "access.quota"


@contextmanager
def standing_at(engine: Engine, at: float, revision: int | None) -> Iterator[Moment]:
    """The registry of a revision; None: that of the time `at`."""
    from gateway.journal.database import snapshot
    from gateway.registry import history

    with snapshot(engine) as here:
        if revision == _PRESENT:
            yield Moment(at, here, here, False)
            return
        number = history.revision_at(here, at) if revision is None else revision
        with history.opened(here, number) as there:
            yield Moment(at, there, here, True)


def used(stands: Moment, grant: Grant, agency: str) -> int | None:
    """Calls counted in the window of `stands.at` so far; None if that is not known any more."""
    from gateway.audit.search.uses import uses_before
    from gateway.exchange import quotas

    if not stands.past:
        return quotas.used(stands.here, grant, agency, stands.at)
    assert grant.quota is not None
    return uses_before(stands.here, grant.id, agency, float(grant.quota.window(stands.at).begins), stands.at)


# --- transfers --------------------------------------------------------------------------------------------------------
class Judged(NamedTuple):
    """A transfer as the log has it: what was asked, when, and the revision of the registry that decided.

    `revision` None: the entry is of an older release, and the time says which one.
    """

    transfer: str
    agency: str
    contract: str
    operation: str
    at: float
    revision: int | None
    entry: Mapping[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        """How the log says that it ended at the door."""
        accepted = self.entry["kind"] == "intent"
        names = ("grant", "also", "receiving", "overdue") if accepted else ("failure", "status", "nearest")
        names = (*names, "provider")
        return {"accepted": accepted} | {name: self.entry[name] for name in names if name in self.entry}

    def agrees(self, decision: Decision, snapshot: Snapshot) -> bool | None:
        """Whether the grants decide as the log says; None if the transfer was refused for another reason."""
        received = self._received(snapshot)
        if self.entry["kind"] == "intent":
            named, receiving = {self.entry["grant"], *self.entry.get("also", ())}, self.entry.get("receiving")
            if receiving is not None and (received is None or set(receiving) != {each.id for each in received.through}):
                return False
            return decision.allowed and named <= {each.id for each in decision.through}
        code = str(self.entry["failure"])
        if code == "route.not-granted":
            nearest = received.nearest if received is not None else None
            as_logged = self.entry.get("nearest") == (nearest.id if nearest is not None else None)
            return received is not None and not received.allowed and as_logged
        if code == _QUOTA:
            return self._used_up(decision)
        return not decision.allowed and code == f"access.{decision.reason}" if code.startswith("access.") else None

    def verdict(self, decision: Decision, snapshot: Snapshot) -> dict[str, Any]:
        """Whether the caller might ask, and the system that the entry names might receive it; and why."""
        received = self._received(snapshot)
        if decision.allowed and received is not None and not received.allowed:
            return {"allowed": False, "reason": "route.not-granted"}
        if self.entry.get("failure") == _QUOTA and self._used_up(decision):
            return {"allowed": False, "reason": "quota"}
        return {"allowed": decision.allowed, "reason": str(decision.reason)}

    @staticmethod
    def _used_up(decision: Decision) -> bool:
        """Whether each grant that allows it has a quota, so that used up ones may leave none."""
        return decision.allowed and len(decision.limited) == len(decision.through)

    def _received(self, snapshot: Snapshot) -> Decision | None:
        """Whether the system that the entry names may receive it; None without one. Decided at its time."""
        from datetime import datetime

        system = snapshot.system(str(self.entry.get("provider")))
        if system is None:
            return None
        at = datetime.fromisoformat(self.entry["at"]).timestamp()
        return snapshot.decide_receiving(system.agency, self.contract, self.operation, at)


def judged(entry: Mapping[str, Any]) -> Judged | None:
    """What an entry of the log asks to be judged; None if the caller or the operation was not known."""
    from datetime import datetime

    agency = entry.get("caller", {}).get("agency")
    if entry.get("kind") not in ("intent", "refusal") or None in (
        agency,
        entry.get("contract"),
        entry.get("operation"),
    ):
        return None
    id = str(entry["transfer"])
    # Grants are asked at the time of arrival, which is in the id; that of a dropped file is made from the file.
    at = int(id.replace("-", "")[:12], 16) / 1000
    if entry.get("door") == "files":
        at = datetime.fromisoformat(entry["at"]).timestamp()
    return Judged(id, agency, entry["contract"], entry["operation"], at, entry.get("registry"), entry)


def judged_of(engine: Engine, id: str, as_json: bool) -> Judged:
    """The transfer of that id, as its intent or refusal has it; else the command ends."""
    from gateway.journal.logged import entry_of

    with engine.connect() as connection:
        logged = entry_of(connection, id, "intent") or entry_of(connection, id, "refusal")
    if logged is None:
        what = f"the log holds nothing of {id} / nhật ký không có gì về giao dịch này"
        then = "It stands in each answer as Lgsp-Transfer. / Mã giao dịch nằm trong trường Lgsp-Transfer."
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    asked = judged(logged.value)
    if asked is None:
        what = f"{id} was refused before grants were asked / bị từ chối trước khi xét quyền"
        then = f"See its code ({logged.value.get('failure')}): / Xem mã lỗi: lgsp audit journey {id}"
        fail(Exit.NO, "not-judged", what, then, as_json)
    return asked


def judgements(engine: Engine, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each intent and refusal judged by exactly the revision that decided it; those of older releases are left out."""
    from contracts.base.errors import Failure
    from gateway.registry.snapshot import load_snapshot

    told: list[dict[str, Any]] = []
    snapshots: dict[int, Snapshot] = {}
    for asked in filter(None, map(judged, entries)):
        if asked.revision is None:
            continue
        about = {"transfer": asked.transfer, "registry": asked.revision, "at": rfc3339(asked.at)}
        try:
            if asked.revision not in snapshots:
                with standing_at(engine, asked.at, asked.revision) as stands:
                    snapshots[asked.revision] = load_snapshot(stands.registry)
        except Failure as unknown:
            told.append(about | {"unknown": unknown.code})
            continue
        snapshot = snapshots[asked.revision]
        decision = snapshot.decide(asked.agency, asked.contract, asked.operation, asked.at)
        names = {"grant": decision.grant, "nearest": decision.nearest}
        told.append(
            about
            | asked.verdict(decision, snapshot)
            | {"agrees": asked.agrees(decision, snapshot)}
            | {name: each.id for name, each in names.items() if each is not None}
        )
    return told


def judgement_line(told: Mapping[str, Any]) -> str:
    head = f"judged / xét lại {told['transfer']} by revision / theo bản {told['registry']}"
    if "unknown" in told:
        return f"{head}: unknown / không rõ ({told['unknown']})"
    by = told.get("grant") or told.get("nearest") or "–"
    agrees = {True: "as logged / khớp nhật ký", False: "NOT AS LOGGED / KHÔNG KHỚP NHẬT KÝ"}.get(told["agrees"])
    other = agrees or "refused for another reason / bị từ chối vì lý do khác"
    return f"{head}: {'yes / được' if told['allowed'] else 'no / không'} ({told['reason']}, {by}); {other}"


# --- grants -----------------------------------------------------------------------------------------------------------
def versions_json(versions: list[GrantVersion]) -> list[dict[str, Any]]:
    return [
        {
            "revision": each.revision,
            "from": rfc3339(each.since),
            "until": rfc3339(each.until) if each.until is not None else None,
            "by": each.actor,
            "what": each.what,
            "entry": each.entry,
            "state": each.state,
            "standing": each.standing,
            "digest": each.digest,
            "signed": list(each.signed),
            "content": each.content,
        }
        for each in versions
    ]


def version_lines(versions: list[GrantVersion]) -> list[str]:
    from gateway.registry.changes.effects import said
    from security.grants.windows import civil

    lines: list[str] = []
    before: Mapping[str, Any] = {}
    for each in versions:
        until = civil(each.until, seconds=True) if each.until is not None else "now / nay"
        lines.append(
            f"{'version':<12} {civil(each.since, seconds=True)} – {until}: {both(each.standing)}, signed by / người ký:"
            f" {', '.join(each.signed) or '–'}; {each.what} by / bởi {each.actor}; {each.digest[:16]}"
        )
        if before:
            lines += [
                f"{'':<12}   {name}: {said(before.get(name))} → {said(each.content.get(name))}"
                for name in sorted({*before, *each.content})
                if before.get(name) != each.content.get(name)
            ]
        before = each.content
    return lines


def ended(stands: Moment, name: str) -> GrantVersion | None:
    """The last version of a grant that no longer stands; None if it stands or never was."""
    versions = held(stands, name)
    return versions[-1] if versions and versions[-1].state in ("revoked", "removed") else None


def held(stands: Moment, name: str) -> list[GrantVersion]:
    """The versions of a grant up to that time."""
    from gateway.registry.history import grant_versions

    every = grant_versions(stands.here, name)
    upto = [each for each in every if not stands.past or each.since <= stands.at]
    return [*upto[:-1], upto[-1]._replace(until=None)] if stands.past and upto else upto
