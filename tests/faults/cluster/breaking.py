"""What breaks: one fault after the other, each with its recovery, drawn from a seed. What it took is printed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway.journal.alone import KEY
from tests.faults.cluster.machines import Cluster, Machine, seconds_until, wait_ready
from tests.faults.cluster.traffic import Handing, Told
from tests.faults.load import children, until
from tests.faults.test_kill import descendants

_WRITTEN = "SELECT (SELECT count(*) FROM transfer), (SELECT max(seen) FROM process), (SELECT epoch FROM lease)"
DOWN = 2.0  # seconds for which something stays broken, at least


@dataclass(slots=True)
class Recovery:
    """`seconds` from the moment from which it could go on until all machines acknowledge again. `told`: what callers
    were told meanwhile; `slowest`: the longest that one waited, and for which answer."""

    fault: str
    seconds: float
    slowest: tuple[float, str]
    told: dict[str, int]

    def __str__(self) -> str:
        said = ", ".join(f"{count} × {what}" for what, count in sorted(self.told.items()))
        longest = f"{self.slowest[0]:4.1f} s ({self.slowest[1]})"
        return f"{self.fault:<44} {self.seconds:5.1f} s, longest answer {longest}: {said}"


class Faults:
    """`calls`: those of each machine, by its folder's name."""

    def __init__(self, cluster: Cluster, calls: dict[str, Handing], told: Told, chance: random.Random) -> None:
        self._cluster, self._calls, self._told, self._chance = cluster, calls, told, chance
        self.recoveries: list[Recovery] = []
        self.gone: list[Handing] = []  # what machines were called that are removed since
        kinds = [
            self.keeper_killed,
            self.door_killed,
            self.machine_killed,
            self.machine_comes_and_goes,
            self.primary_killed,
            self.old_primary_returns,
            self.standby_killed,
            self.machine_cut_off,
            self.machine_hears_nothing,
            self.primary_stalled,
            self.keys_primary_killed,
        ]
        if cluster.pair.room:
            kinds.append(self.disk_full)
        self.kinds: Sequence[Callable[[], tuple[str, float]]] = kinds

    def one(self, kind: Callable[[], tuple[str, float]]) -> Recovery:
        """A fault and its recovery."""
        time.sleep(self._chance.uniform(0.1, 1.0))
        self._told.fault()
        what, began = kind()
        self._all_go_on()
        made = Recovery(what, time.monotonic() - began, self._told.slowest, dict(self._told.since))
        self.recoveries.append(made)
        print(made, flush=True)
        return made

    def _all_refused(self) -> None:
        """Each machine refuses a call that it got from now on."""
        for name, calls in self._calls.items():
            count = len(calls.unknown)
            until(f"{name} refuses", lambda: calls.goes_on() and len(calls.unknown) > count + 1)  # noqa: B023

    def _all_go_on(self) -> None:
        for name, calls in self._calls.items():
            until(f"{name} acknowledges again", partial(calls.beyond, len(calls.acknowledged) + 1), 120.0)

    def _any(self) -> Machine:
        return self._chance.choice(self._cluster.machines)

    def _others_go_on(self, machine: Machine) -> None:
        for each in self._cluster.machines:
            if each is not machine and each.name in self._calls:
                calls = self._calls[each.name]
                until(f"{each.name} goes on", partial(calls.beyond, len(calls.acknowledged) + 1))

    # --- the program --------------------------------------------------------------------------------------------------
    def upgraded(self) -> tuple[str, float]:
        """From an older release: one machine after the other, while those beside it take calls."""
        (release,) = {each.older.release for each in self._cluster.machines if each.older}
        began = time.monotonic()
        for machine in reversed(self._cluster.machines):
            machine.upgrade()
            self._others_go_on(machine)
            wait_ready(machine)
        return f"upgraded from {release}, in {time.monotonic() - began:.1f} s", time.monotonic()

    def keys_moved(self) -> tuple[str, float]:
        """Of the vault, from the folder to a second database; for that all machines are stopped."""
        cluster, began = self._cluster, time.monotonic()
        for machine in cluster.machines:
            machine.end()
        for machine in cluster.machines:
            moved = machine.lgsp("vault", "move", cluster.keys.url(), "--destroy-old")
            assert moved["ok"], moved
            machine.settings = replace(machine.settings, vault_database=cluster.keys.url())
            assert not list(machine.settings.vault_keys.glob("*.key"))
            machine.start()
        for machine in cluster.machines:
            wait_ready(machine)
        return f"keys of the vault moved, in {time.monotonic() - began:.1f} s", time.monotonic()

    # --- processes ----------------------------------------------------------------------------------------------------
    def keeper_killed(self) -> tuple[str, float]:
        before = self._kill_leader()
        began = time.monotonic()
        return f"leading keeper killed, another led after {self._another_leads(before):.1f} s", began

    def _kill_leader(self) -> str:
        before, pid = until("a keeper leads", lambda: one if (one := self._cluster.leader())[1] else None)
        os.kill(pid, signal.SIGKILL)
        return str(before)

    def _another_leads(self, before: str) -> float:
        """Seconds until then."""
        return seconds_until("another keeper leads", lambda: self._cluster.leader()[0] not in ("", before))

    def door_killed(self) -> tuple[str, float]:
        machine = self._any()
        door = next(pid for pid, words in children(machine.pid).items() if "door" in words)
        os.kill(door, signal.SIGKILL)
        return f"door of {machine.name} killed", time.monotonic()

    def machine_killed(self) -> tuple[str, float]:
        machine, before = self._any(), self._cluster.leader()
        led = before[1] in descendants(machine.pid)
        machine.kill()
        took = f", another led after {self._another_leads(before[0]):.1f} s" if led else ""
        self._others_go_on(machine)
        time.sleep(DOWN)
        began = time.monotonic()
        machine.start()
        wait_ready(machine)
        return f"machine {machine.name} killed{took}, started again", began

    def machine_comes_and_goes(self) -> tuple[str, float]:
        """A third one joins, while the leading keeper is killed; it takes calls, is drained and removed."""
        cluster, why = self._cluster, ("--reason", "thử máy thứ ba")
        began = time.monotonic()
        machine = cluster.join(f"third-{len(self.gone)}")
        machine.start()
        self._kill_leader()
        wait_ready(machine)
        took = time.monotonic() - began
        with Handing(machine.settings, self._told) as calls:
            self.gone.append(calls)
            until(f"{machine.name} acknowledges", partial(calls.beyond, 3), 120.0)
            assert cluster.first.lgsp("machine", "drain", machine.name, *why)["ok"]
            until(f"{machine.name} refuses", partial(_not_ready, machine))
        assert cluster.first.lgsp("machine", "remove", machine.name, *why)["ok"]
        until(f"{machine.name} has stopped", lambda: not machine.running, 120.0)
        return f"a machine joined after {took:.1f} s, was drained, removed", time.monotonic()

    # --- the database -------------------------------------------------------------------------------------------------
    def primary_killed(self) -> tuple[str, float]:
        pair = self._cluster.pair
        pair.primary.kill()
        time.sleep(self._chance.uniform(0.1, DOWN))
        began = time.monotonic()
        pair.promote()
        how = pair.rejoin()
        return f"primary killed, standby promoted, {how}", began

    def old_primary_returns(self) -> tuple[str, float]:
        """As it was, while a person lets the new one go on without a standby: nobody writes to it."""
        pair = self._cluster.pair
        old = pair.primary
        old.kill()
        pair.promote()
        began = time.monotonic()
        machine = self._any()
        why = "máy chủ chính hỏng, chưa có máy dự phòng"
        decided = machine.lgsp("machine", "alone", "--reason", why, "--break-glass", why)
        assert decided["ok"], decided
        self._all_go_on()
        took = time.monotonic() - began
        old.start()
        assert not old.is_standby()
        has = pair.rows(_WRITTEN, old)
        for pid in [pid for pid, words in children(machine.pid).items() if "door" in words or "keeper" in words]:
            os.kill(pid, signal.SIGKILL)  # those that start now meet it, if it is the first in their address
        self._all_go_on()
        assert pair.rows(_WRITTEN, old) == has, "something was written to the old primary"
        how = pair.rejoin()
        until("the decision has ended", lambda: not pair.rows(f"SELECT 1 FROM instance WHERE key = '{KEY}'"))
        return f"primary killed, went on alone after {took:.1f} s, old one came back, {how}", time.monotonic()

    def keys_primary_killed(self) -> tuple[str, float]:
        """Of the vault's keys: calls go on, with the keys that machines hold; then bodies open by the promoted one."""
        keys = self._cluster.keys
        keys.primary.kill()
        self._all_go_on()
        keys.promote()
        how, began = keys.rejoin(), time.monotonic()
        for machine in self._cluster.machines:
            until(f"{machine.name} is ready", lambda: machine.ready() == 200)  # noqa: B023
            transfer = list(self._calls[machine.name].acknowledged.values())[-1]
            until("a body opens", partial(_opens, machine, transfer))
        return f"primary of the vault's keys killed, standby promoted, {how}", began

    def standby_killed(self) -> tuple[str, float]:
        """Nothing is acknowledged without it."""
        pair = self._cluster.pair
        pair.standby.kill()
        self._all_refused()
        counts = [len(each.acknowledged) for each in self._calls.values()]
        time.sleep(DOWN)
        assert counts == [len(each.acknowledged) for each in self._calls.values()], "acknowledged without a standby"
        began = time.monotonic()
        pair.standby.start()
        return "standby killed, and back", began

    def primary_stalled(self) -> tuple[str, float]:
        with self._cluster.pair.primary.frozen():
            time.sleep(self._chance.uniform(DOWN, 3 * DOWN))
        return "primary stalled", time.monotonic()

    def disk_full(self) -> tuple[str, float]:
        """Until nothing can be written any more. The gateway goes on by itself once there is room. The server does too,
        unless it met the full disk again while it recovered: then it ends, and is started as its unit would.
        """
        primary = self._cluster.pair.primary
        primary.fill()
        for machine in self._cluster.machines:
            until(f"{machine.name} says that it is not ready", lambda: machine.ready() == 503)  # noqa: B023
        time.sleep(DOWN)
        primary.empty()
        began, ended = time.monotonic(), ""

        def answers() -> bool:
            nonlocal ended
            if not primary.running:
                ended = ", which ended"
                primary.start()
            return primary.answers()

        until("the primary answers", answers)
        return f"disk of the primary full{ended}", began

    # --- the way ------------------------------------------------------------------------------------------------------
    def machine_cut_off(self) -> tuple[str, float]:
        return self._without_way("cut off from the database", lambda machine: machine.way.cut())

    def machine_hears_nothing(self) -> tuple[str, float]:
        return self._without_way("hears nothing of the database", lambda machine: machine.way.stall())

    def _without_way(self, what: str, close: Callable[[Machine], None]) -> tuple[str, float]:
        machine = self._any()
        close(machine)
        try:
            until(f"{machine.name} says that it is not ready", partial(_not_ready, machine))
            self._others_go_on(machine)
            time.sleep(DOWN)
        finally:
            machine.way.flow()
        return f"{machine.name} {what}", time.monotonic()


def _opens(machine: Machine, transfer: str) -> bool:
    body = machine.lgsp("audit", "body", transfer, "--part", "canonical", "--reason", "thử khóa của kho")
    return bool(body["ok"])


def _not_ready(machine: Machine) -> bool:
    return machine.ready() == 503
