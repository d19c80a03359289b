"""The score of a system out of 100, with its arithmetic.

Each part is a share (numerator / denominator) and a weight. A part that cannot be judged takes its weight out; the
points that can be got are the other weights, scaled so that they are 100 together. Points are counted in tenths:

    possible   the weight's share of 1,000 tenths; what rounding leaves goes to the largest remainders, in order
    points     possible × numerator / denominator, rounded down
    gain       possible - points: what the score rises by when the part is mended

Invariant: the points of the parts add up to the score, and the points possible to 100, to the tenth.
Invariant: a part has all of its points only if its numerator is its denominator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from contracts.base import safeyaml

Part = Literal[
    "availability", "answers", "timeliness", "freshness", "completeness", "validity", "duplication", "corrections"
]  # fmt: skip
Why = Literal["no-probes", "no-calls", "none-handed-in", "no-feed", "no-frequency", "none-due", "none-came"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
TENTHS: Final = 1000


class Weights(NamedTuple):
    """Points by part, together 100. `late`: seconds after which late data count as missing."""

    points: Mapping[Part, int]
    late: float


@cache
def weights() -> Weights:
    """Of `weights.yaml`. Raises ValueError if its points are not 100 together."""
    read: Any = safeyaml.load(Path(__file__).with_name("weights.yaml").read_text("utf-8"))
    points: dict[Part, int] = {part: int(read["weights"][part]) for part in PARTS}
    if sum(points.values()) != 100 or min(points.values()) < 1 or len(read["weights"]) != len(PARTS):
        raise ValueError("weights.yaml: one weight for each part, together 100")
    return Weights(points, int(read["late_days"]) * 86_400.0)


@dataclass(frozen=True, slots=True)
class Share:
    """What of a part was good. `why` says why it is not judged, if the denominator is 0."""

    numerator: int
    denominator: int
    why: Why

    @property
    def judged(self) -> bool:
        return self.denominator > 0


@dataclass(frozen=True, slots=True)
class Judged:
    """One part of a score. Points are tenths; those of a part that is not judged are 0."""

    part: Part
    weight: int
    share: Share
    possible: int
    points: int

    @property
    def gain(self) -> int:
        return self.possible - self.points

    def to_json(self) -> dict[str, Any]:
        share = self.share
        return {
            "part": self.part,
            "weight": self.weight,
            "judged": share.judged,
            "why": None if share.judged else share.why,
            "numerator": share.numerator,
            "denominator": share.denominator,
            "possible": self.possible / 10,
            "points": self.points / 10,
            "gain": self.gain / 10,
        }


@dataclass(frozen=True, slots=True)
class Score:
    parts: tuple[Judged, ...]

    @property
    def tenths(self) -> int | None:
        """None if no part could be judged."""
        return sum(each.points for each in self.parts) if any(each.share.judged for each in self.parts) else None

    @property
    def value(self) -> float | None:
        return None if self.tenths is None else self.tenths / 10

    @property
    def best(self) -> Judged | None:
        """The part that gains most when it is mended; None if all points are got."""
        most = max(self.parts, key=lambda each: each.gain)
        return most if most.gain else None


def score(shares: Mapping[Part, Share], points: Mapping[Part, int]) -> Score:
    judged = [part for part in PARTS if shares[part].judged]
    possible = dict.fromkeys(PARTS, 0)
    if judged:
        total = sum(points[part] for part in judged)
        possible.update({part: TENTHS * points[part] // total for part in judged})
        left = TENTHS - sum(possible.values())
        for part in sorted(judged, key=lambda each: -(TENTHS * points[each] % total))[:left]:
            possible[part] += 1
    return Score(
        tuple(
            Judged(
                part=part,
                weight=points[part],
                share=shares[part],
                possible=possible[part],
                points=possible[part] * share.numerator // share.denominator if share.judged else 0,
            )
            for part in PARTS
            for share in (shares[part],)
        )
    )
