"""A plain model of what stands under the identifiers of alerts: no hashes, no database, no code of the gateway."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SENT = "2026-08-14T03:20:00+07:00"


class Step(NamedTuple):
    """One alert. `refers` are identifiers, each with whether it is named as it was sent."""

    agency: str
    name: str
    kind: str
    note: str
    refers: tuple[tuple[str, bool], ...]

    def message(self, alert: dict[str, Any]) -> dict[str, Any]:
        named = " ".join(f"s@x,{name},{SENT if right else '2020-01-01T00:00:00Z'}" for name, right in self.refers)
        own = {"identifier": self.name, "sender": "s@x", "sent": SENT, "msgType": self.kind, "note": self.note}
        return {**alert, **own, **({"references": named} if named else {})}


def steps(chance: random.Random, count: int) -> list[Step]:
    names = [f"A-{number}" for number in range(1, 7)]
    kinds = ["Alert", "Alert", "Update", "Update", "Cancel", "Ack"]
    return [
        Step(
            chance.choice("ABAA"),
            chance.choice(names),
            chance.choice(kinds),
            chance.choice("xxy"),
            tuple((name, chance.random() < 0.9) for name in chance.sample(names, chance.choice((0, 1, 1, 1, 2)))),
        )
        for _ in range(count)
    ]


@dataclass
class Model:
    """`state` holds for each identifier: its step, who handed it in, and how it stands."""

    state: dict[str, tuple[Step, str, str]] = field(default_factory=dict)

    def take(self, step: Step, transfer: str) -> str:
        """`new`, `repeat`, `key` or `reference`."""
        before = self.state.get(step.name)
        if before is not None:
            return "repeat" if before[0] == step else "key"
        if step.kind != "Alert":
            if not step.refers or not all(self._fits(step, *each) for each in step.refers):
                return "reference"
            for name, _ in step.refers:
                self._change(step.kind, name)
        stands = {"Alert": "live", "Update": "live", "Cancel": "notice", "Ack": "notice"}[step.kind]
        self.state[step.name] = (step, transfer, stands)
        return "new"

    def _fits(self, step: Step, name: str, right: bool) -> bool:
        known = self.state.get(name)
        if known is None or not right or known[0].agency != step.agency:
            return False
        return not (step.kind == "Update" and known[2] == "recalled")

    def _change(self, kind: str, name: str) -> None:
        first, transfer, stands = self.state[name]
        if kind != "Ack" and stands in ("live", "superseded"):
            self.state[name] = (first, transfer, "recalled" if kind == "Cancel" else "superseded")
