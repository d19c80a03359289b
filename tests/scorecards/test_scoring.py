"""The arithmetic of scores: parts add up, and what mending a part gains is what was said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.scorecards.scoring import PARTS, TENTHS, Part, Share, score, weights
from tests.size import examples

SLOW = [HealthCheck.too_slow]  # a machine at work
WEIGHTS = weights().points
COUNTS = st.integers(0, 300_000)
SHARES = st.tuples(COUNTS, COUNTS).map(lambda two: Share(min(two), max(two), "no-calls"))
ALL = st.fixed_dictionaries({part: SHARES | st.just(Share(0, 0, "no-calls")) for part in PARTS})
POINTS = st.fixed_dictionaries({part: st.integers(1, 100) for part in PARTS})


@given(ALL, POINTS | st.just(WEIGHTS))
@settings(max_examples=examples(300), suppress_health_check=SLOW)
def test_parts_add_up(shares: dict[Part, Share], points: dict[Part, int]) -> None:
    made = score(shares, points)
    judged = [each for each in made.parts if each.share.judged]
    assert [each.part for each in made.parts] == list(PARTS)
    if not judged:
        assert made.tenths is None and made.value is None and made.best is None
        return
    assert sum(each.possible for each in made.parts) == TENTHS
    assert made.tenths == sum(each.points for each in made.parts) and 0 <= made.tenths <= TENTHS
    total = sum(points[each.part] for each in judged)
    for each in made.parts:
        assert (each.possible, each.points) == (0, 0) or each.share.judged
        assert 0 <= each.points <= each.possible and each.gain == each.possible - each.points
    for each in judged:
        exact = Fraction(TENTHS * points[each.part], total)
        assert abs(each.possible - exact) < 1
        assert (each.points == each.possible) >= (each.share.numerator == each.share.denominator)
        assert each.points == each.possible * each.share.numerator // each.share.denominator
        if each.possible:
            assert (each.points == each.possible) == (each.share.numerator == each.share.denominator)


@given(ALL, POINTS | st.just(WEIGHTS), st.sampled_from(PARTS))
@settings(max_examples=examples(300), suppress_health_check=SLOW)
def test_mending_a_part_gains_what_was_said(shares: dict[Part, Share], points: dict[Part, int], part: Part) -> None:
    before = score(shares, points)
    share = shares[part]
    after = score({**shares, part: replace(share, numerator=share.denominator)}, points)
    if before.tenths is None or after.tenths is None:
        assert before == after
        return
    said = before.parts[PARTS.index(part)].gain
    assert after.tenths - before.tenths == said
    best = before.best
    assert best is None or best.gain >= said
    assert (best is None) == (before.tenths == TENTHS)


@given(ALL, st.sampled_from(PARTS))
@settings(max_examples=examples(200), suppress_health_check=SLOW)
def test_a_part_that_cannot_be_judged_changes_nothing_of_the_others_order(
    shares: dict[Part, Share], part: Part
) -> None:
    """Its weight goes to the others in proportion: none of them loses."""
    with_it, without = score(shares, WEIGHTS), score({**shares, part: Share(0, 0, "no-calls")}, WEIGHTS)
    others = [each.share.judged for each in without.parts]
    for one, two in zip(with_it.parts, without.parts, strict=True):
        if one.part != part and any(others):
            assert two.possible >= one.possible


def test_an_example_by_hand() -> None:
    none = Share(0, 0, "no-frequency")
    shares: dict[Part, Share] = dict.fromkeys(PARTS, none)
    shares["availability"] = Share(9, 10, "no-probes")  # weight 15
    shares["answers"] = Share(9, 10, "no-calls")  # weight 10
    shares["validity"] = Share(2, 3, "none-handed-in")  # weight 20
    shares["duplication"] = Share(3, 3, "none-handed-in")  # weight 5
    made = score(shares, WEIGHTS)
    assert [(each.possible, each.points) for each in made.parts if each.share.judged] == [
        (300, 270),
        (200, 180),
        (400, 266),
        (100, 100),
    ]
    assert made.value == 81.6 and made.best is not None
    assert (made.best.part, made.best.gain) == ("validity", 134)


def test_the_weights_are_data() -> None:
    assert sum(WEIGHTS.values()) == 100 and weights().late == 7 * 86_400


def test_a_part_is_judged_from_its_least_count_on() -> None:
    """One refused call is no judgement of a system; what is judged says how far chance goes."""
    none = Share(0, 0, "no-calls", 20)
    few = score({**dict.fromkeys(PARTS, none), "validity": Share(0, 1, "none-handed-in", 20)}, WEIGHTS)
    assert few.value is None and few.interval is None and few.best is None
    (told,) = [each.to_json() for each in few.parts if each.part == "validity"]
    assert (told["judged"], told["why"], told["least"], told["denominator"]) == (False, "too-few", 20, 1)
    assert none.why == "no-calls"
    enough = score({**dict.fromkeys(PARTS, none), "validity": Share(19, 20, "none-handed-in", 20)}, WEIGHTS)
    assert enough.value == 95.0 and enough.interval == (763, 992)
    assert weights().least["validity"] == 20


@given(ALL)
@settings(max_examples=examples(200), suppress_health_check=SLOW)
def test_a_score_lies_in_its_interval(shares: dict[Part, Share]) -> None:
    made = score(shares, WEIGHTS)
    if made.tenths is None or made.interval is None:
        assert made.tenths is None and made.interval is None
        return
    low, high = made.interval
    assert 0 <= low <= made.tenths <= high <= TENTHS
    for each in made.parts:
        assert 0 <= each.low <= each.points <= each.high <= each.possible


def test_more_calls_make_the_interval_narrower() -> None:
    wide, narrow = Share(18, 20, "no-calls").interval, Share(1800, 2000, "no-calls").interval
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 5


def test_what_the_gateway_refuses_for_other_reasons_is_no_invalid_message() -> None:
    rules = weights()
    for code, status in (("body.invalid", 422), ("message.invalid", 422), ("xml.malformed", 400)):
        assert rules.is_invalid(code, status)
    for code, status in (
        ("subscription.url", 422), ("access.no-grant", 403), ("access.quota", 429), ("api.invalid", 400),
        ("message.replayed", 409), ("body.waiting", 429), ("limit.agency", 429), ("conform.refused", 422),
    ):  # fmt: skip
        assert not rules.is_invalid(code, status), code
