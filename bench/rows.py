"""The rows of results, for people and programs.

Invariant: a row comes from rounds that were all checked. `against` holds ratios per round, so that a slow moment of
the machine affects both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`spread` is (largest - smallest) / median of the rounds. `details`: further numbers, the unit in the name."""

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
    """`others` holds the rates of the compared sides, one per round, in the order of `rounds`."""
    middle = median(rounds)
    ratios = {
        side: median(ours / theirs for ours, theirs in zip(rounds, rates, strict=True))
        for side, rates in others.items()
    }
    return Row(name, middle, unit, (max(rounds) - min(rounds)) / middle, ratios, details)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `bench.run` as text."""
    lines = [f"{'measure':<34} {'median':>9} {'unit':<12} {'spread':>7}  against"]
    for row in rows:
        ratios = ", ".join(f"{ratio:g} × {side}" for side, ratio in row["against"].items())
        lines.append(f"{row['name']:<34} {row['median']:>9,.0f} {row['unit']:<12} {row['spread']:>6.0%}  {ratios}")
        lines += [f"    {name.replace('_', ' '):<42} {value:>10,.1f}" for name, value in row["details"].items()]
    return "\n".join(lines)
