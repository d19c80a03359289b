"""What a measure says: one row, and all of them for a person or a program.

Invariant: a row is made from rounds that were all checked; `against` holds ratios taken round by round, so that a slow moment of the
machine weighs on both sides of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`spread` is (largest - smallest) / median of the rounds; `details` are further numbers, each with its unit in its name."""

    name: str
    median: float
    unit: str
    spread: float
    against: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": round(self.median, 1),
            "unit": self.unit,
            "spread": round(self.spread, 3),
            "against": {name: round(ratio, 2) for name, ratio in self.against.items()},
            "details": {name: round(value, 2) for name, value in self.details.items()},
        }


def row(
    name: str, unit: str, rounds: Sequence[float], others: Mapping[str, Sequence[float]], details: Mapping[str, float]
) -> Row:
    """`others` hold the rates of the sides compared with, one a round, in the same order as `rounds`."""
    middle = median(rounds)
    ratios = {
        side: median(ours / theirs for ours, theirs in zip(rounds, rates, strict=True))
        for side, rates in others.items()
    }
    return Row(name, middle, unit, (max(rounds) - min(rounds)) / middle, ratios, details)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `bench.run` for a person."""
    lines = [f"{'measure':<34} {'median':>9} {'unit':<12} {'spread':>7}  against"]
    for found in rows:
        ratios = ", ".join(f"{ratio:g} × {side}" for side, ratio in found["against"].items())
        lines.append(
            f"{found['name']:<34} {found['median']:>9,.0f} {found['unit']:<12} {found['spread']:>6.0%}  {ratios}"
        )
        lines += [f"    {name.replace('_', ' '):<42} {value:>10,.1f}" for name, value in found["details"].items()]
    return "\n".join(lines)
