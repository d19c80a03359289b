"""What must hold after each fault: asked of the feed's readers, of both servers, of the log and of both machines."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, create_engine

from gateway.audit.log.tiles import root_at
from gateway.transfer.feed_digests import page_of_leaves
from security.transparency.event_leaves import leaf_of
from tests.faults.cluster.machines import Cluster, Machine
from tests.faults.cluster.traffic import Chains, Handing
from tests.faults.following import Pulling
from tests.faults.load import until
from tests.journal.pairs import Server

ALERTS = "incident-alert/v1"
PENDING = "SELECT id FROM log_pending UNION ALL SELECT id FROM feed_pending"
WHOLE = 10  # after so many faults the whole log is verified, and all rows are held against it; else what is new
_SECONDS = 120.0
_ENDED = {"answered", "failed", "in-doubt", "dead"}


class Held:
    """Invariant: each acknowledged alert stands once in the feed, those of a chain in their order."""

    def __init__(
        self, cluster: Cluster, chains: Chains, handing: Callable[[], Sequence[Handing]], reader: Pulling
    ) -> None:
        self._cluster, self._chains, self._handing, self._reader = cluster, chains, handing, reader
        self._turn = 0  # the log is verified on one machine after the other
        self._verified = 0  # the newest entry that was looked at
        self._agreed = 0  # so much of the feed was compared

    def check(self) -> None:
        began = time.monotonic()
        self._check()
        print(f"    all of it held, looked at in {time.monotonic() - began:.1f} s", flush=True)

    def _check(self, *, everywhere: bool = False) -> None:
        """While calls go on: of all that was acknowledged until now."""
        once = {id: transfer for each in self._handing() for id, transfer in list(each.acknowledged.items())}
        chains = [list(chain) for chain in self._chains.links]
        wanted = set(once.values()) | {transfer for chain in chains for _, transfer in chain}
        until(
            "all that was acknowledged, at the reader",
            lambda: self._reader.goes_on() and wanted <= set(self._reader.ids),
            _SECONDS,
        )
        events = list(self._reader.events)
        ids = [event["id"] for event in events]
        assert not (twice := [id for id, times in Counter(ids).items() if times > 1]), f"twice in the feed: {twice}"
        sequence = [int(event["sequence"]) for event in events]
        assert sequence == list(range(sequence[0], sequence[0] + len(sequence))), "the feed has a gap"
        place = {event["data"]["identifier"]: (at, event["id"]) for at, event in enumerate(events)}
        assert len(place) == len(events), "a message stands twice in the feed, under two transfers"
        for identifier, transfer in (*once.items(), *(link for chain in chains for link in chain)):
            assert place[identifier][1] == transfer, f"{identifier} was acknowledged as another transfer"
        for chain in chains:
            order = [place[identifier][0] for identifier, _ in chain]
            assert order == sorted(order), "the alerts of one key are not in the order of their acknowledgements"
        whole = everywhere or not self._turn % WHOLE
        self._turn += 1
        machines = [each for each in self._cluster.machines if each.running]
        for machine in machines if everywhere else [machines[self._turn % len(machines)]]:
            until(f"the log verifies on {machine.name}", partial(self._verifies, machine, whole), _SECONDS)
        self._checkpoints_agree()
        self._feeds_agree(events)
        self._doubts_have_names()

    def _verifies(self, machine: Machine, whole: bool) -> bool:
        vkey = str(machine.settings.identities / "bao-chay" / "log.vkey")
        words = () if whole else ("--from-index", str(self._verified))
        said = machine.lgsp("audit", "verify", "--vkey", vkey, *words)
        if said["ok"]:
            self._verified = max(0, said["size"] - 1)
        return bool(said["ok"])

    def _checkpoints_agree(self) -> None:
        """Each machine comes to what the log is now, and its checkpoint is of this log."""
        size = int(self._cluster.rows("SELECT coalesce(max(size), 0) FROM checkpoint")[0][0])
        for machine in self._cluster.machines:
            if machine.running:
                until(f"{machine.name} has the checkpoint", lambda: machine.checkpoint[0] >= size, _SECONDS)  # noqa: B023
                at, note = machine.checkpoint
                with self._reading(self._cluster.pair.primary) as connection:
                    root = base64.b64encode(root_at(connection, at)).decode()
                assert note.splitlines()[1:3] == [str(at), root], f"{machine.name} has another log"

    def _feeds_agree(self, events: Sequence[Mapping[str, Any]]) -> None:
        """The events that were read have the digests that both servers hold."""
        new = [leaf_of(event) for event in events[self._agreed :]]
        for server in self._cluster.pair.servers:
            until(
                f"the digests agree on {server.name}",
                lambda: self._leaves(server, self._agreed)[: len(new)] == new,  # noqa: B023
                _SECONDS,
            )
        self._agreed = len(events)

    def _doubts_have_names(self) -> None:
        doubts = {str(id) for (id,) in self._cluster.rows("SELECT id FROM transfer WHERE state = 'in-doubt'")}
        machine = next(each for each in self._cluster.machines if each.running)
        listed = until("the queue is listed", partial(_in_doubt, machine), _SECONDS)[0]
        named = {one["transfer"] for one in listed}
        later = {str(id) for (id,) in self._cluster.rows("SELECT id FROM transfer WHERE state = 'in-doubt'")}
        assert doubts & later <= named <= doubts | later, "what is in doubt has a name"

    # --- at the end ---------------------------------------------------------------------------------------------------
    def check_end(self, readers: Sequence[Pulling]) -> None:
        """Once nobody calls any more: nothing is under way, and all copies of the feed have the same digest."""
        asked = self._cluster.rows
        until("a place for all", lambda: not asked(PENDING), _SECONDS)
        under_way = "SELECT id, state, process FROM transfer WHERE state IN ('forwarding', 'queued')"
        try:
            until("the end of all that was under way", lambda: not asked(under_way), _SECONDS)
        except AssertionError:
            print("still under way:", asked(under_way))
            raise
        self._check(everywhere=True)
        leaves = [self._leaves(server) for server in self._cluster.pair.servers]
        assert leaves[0] == leaves[1], "the standby has the same feed"
        for reader in readers:
            until("the reader at the end", lambda: len(reader.events) >= len(leaves[0]), _SECONDS)  # noqa: B023
            assert [leaf_of(event) for event in reader.events] == leaves[0], "however it is read, a feed is the same"
        known = {event["data"]["identifier"] for event in self._reader.events}
        unknown = {identifier for each in self._handing() for identifier in each.unknown}
        print(
            f"{len(unknown)} calls had no answer or a refusal, {len(unknown & known)} of them were taken all the same"
        )

    def check_reports(self, acknowledged: Mapping[str, int]) -> None:
        """Once all has ended: what was forwarded was logged before, nothing was carried out twice, and what was to be
        answered later has ended, or has a name and a reason."""
        asked = self._cluster.rows
        intents = {str(id) for (id,) in asked("SELECT transfer FROM log_entry WHERE phase = 'intent'")}
        seen = self._cluster.first.world.seen("do-thi")
        received = {item["transfer"] for item in seen["transfers"]}
        assert received <= intents, "nothing unlogged was forwarded"
        assert seen["records"] == len(received), "nothing was carried out twice"
        states = {str(id): (state, why) for id, state, why in asked("SELECT id, state, failure FROM transfer")}
        later = [id for id, status in acknowledged.items() if status == 202]
        assert later and {states[id][0] for id in acknowledged} <= _ENDED
        assert all(why for state, why in states.values() if state in ("failed", "dead")), "ended without a reason"
        print(f"{len(later)} of {len(acknowledged)} reports were answered later")

    def _leaves(self, server: Server, after: int = 0) -> list[bytes]:
        with self._reading(server) as connection:
            return [leaf for _, _, leaf in page_of_leaves(connection, ALERTS, after, None, 10**6)]

    @contextmanager
    def _reading(self, server: Server) -> Iterator[Connection]:
        engine = create_engine(self._cluster.pair.url([server.port]).replace("read-write", "any"))
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _in_doubt(machine: Machine) -> tuple[list[dict[str, str]], ...]:
    """As the command lists them; empty if it could not ask."""
    listed = machine.lgsp("queue", "list", "--state", "in-doubt")
    return (listed["in_doubt"],) if listed["ok"] else ()
