"""The score of a system out of 100, with its arithmetic.

Each part is a share (numerator / denominator) and a weight. A part that cannot be judged takes its weight out; the
points that can be got are the other weights, scaled so that they are 100 together. Points are counted in tenths:

    possible   the weight's share of 1,000 tenths; what rounding leaves goes to the largest remainders, in order
    points     possible × numerator / denominator, rounded down
    low, high  what the points may be by chance: the interval of Wilson of the share, at 95 % (Wilson 1927)
    gain       possible - points: what the score rises by when the part is mended

The interval of a score is made of those of its parts (square-and-add: Newcombe 1998).

Invariant: the points of the parts add up to the score, and the points possible to 100, to the tenth.
Invariant: a part that was counted fewer times than `least` says is not judged.
Invariant: a part has all of its points only if its numerator is its denominator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, hypot, sqrt
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from contracts.base import safeyaml

Part = Literal[
    "availability", "answers", "timeliness", "freshness", "completeness", "validity", "duplication", "corrections"
]  # fmt: skip
Why = Literal["too-few", "no-probes", "no-calls", "none-handed-in", "no-feed", "no-frequency", "none-due", "none-came"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
TENTHS: Final = 1000
_Z: Final = 1.96  # of 95 %


class Weights(NamedTuple):
    """Points by part, together 100. `least`: how often a part is counted before it is judged. `late`: seconds after
    which late data count as missing. `invalid`: beginnings of the codes, and statuses, of messages that were invalid.
    """

    points: Mapping[Part, int]
    least: Mapping[Part, int]
    late: float
    invalid: tuple[frozenset[str], frozenset[int]]

    def is_invalid(self, code: str, status: object) -> bool:
        """Whether a message was refused for what it is."""
        beginnings, statuses = self.invalid
        return code.partition(".")[0] in beginnings and status in statuses


@cache
def weights() -> Weights:
    """Of `weights.yaml`. Raises ValueError if its points are not 100 together."""
    read: Any = safeyaml.load(Path(__file__).with_name("weights.yaml").read_text("utf-8"))
    points: dict[Part, int] = {part: int(read["weights"][part]) for part in PARTS}
    if sum(points.values()) != 100 or min(points.values()) < 1 or len(read["weights"]) != len(PARTS):
        raise ValueError("weights.yaml: one weight for each part, together 100")
    least: dict[Part, int] = {part: int(read["least"][part]) for part in PARTS}
    if min(least.values()) < 1 or len(read["least"]) != len(PARTS):
        raise ValueError("weights.yaml: one least count for each part")
    invalid = frozenset(map(str, read["invalid"])), frozenset(map(int, read["invalid_status"]))
    return Weights(points, least, int(read["late_days"]) * 86_400.0, invalid)


@dataclass(frozen=True, slots=True)
class Share:
    """What of a part was good. `none` says why it is not judged, if the denominator is 0. Below `least` it is not."""

    numerator: int
    denominator: int
    none: Why
    least: int = 1

    @property
    def judged(self) -> bool:
        return self.denominator >= max(1, self.least)

    @property
    def why(self) -> Why | None:
        """Why it is not judged; None: it is."""
        return None if self.judged else "too-few" if self.denominator else self.none

    @property
    def interval(self) -> tuple[float, float]:
        """The shares that are as likely, from 0 to 1."""
        good, of, square = self.numerator, self.denominator, _Z * _Z
        if of == 0:
            return 0.0, 1.0
        middle, half = good + square / 2, _Z * sqrt(good * (of - good) / of + square / 4)
        low, high = (middle - half) / (of + square), (middle + half) / (of + square)
        return (0.0 if good == 0 else low), (1.0 if good == of else high)


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

    @property
    def low(self) -> int:
        return min(self.points, floor(self.possible * self.share.interval[0]))

    @property
    def high(self) -> int:
        return max(self.points, ceil(self.possible * self.share.interval[1]))

    def to_json(self) -> dict[str, Any]:
        share = self.share
        return {
            "part": self.part,
            "weight": self.weight,
            "judged": share.judged,
            "why": share.why,
            "least": share.least,
            "numerator": share.numerator,
            "denominator": share.denominator,
            "possible": self.possible / 10,
            "points": self.points / 10,
            "low": self.low / 10,
            "high": self.high / 10,
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
    def interval(self) -> tuple[int, int] | None:
        """Between which tenths the score lies, so far as chance goes; None if no part could be judged."""
        if self.tenths is None:
            return None
        judged = [each for each in self.parts if each.share.judged]
        down = hypot(*(each.points - each.low for each in judged))
        up = hypot(*(each.high - each.points for each in judged))
        return max(0, floor(self.tenths - down)), min(TENTHS, ceil(self.tenths + up))

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
