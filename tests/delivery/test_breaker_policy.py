"""Breaker and retry policy: pure, so tried by properties."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.breaker import Breaker, Breakers, Position, Rules, rules_for
from gateway.delivery.policy import RetryPolicy

WHAT = ["call-ok", "call-fail", "call-lost", "late-fail", "call-away", "listens"]
EVENTS = st.lists(st.tuples(st.sampled_from(WHAT), st.floats(0, 30)), max_size=60)


@given(EVENTS)
def test_the_breaker_keeps_its_rules(events: list[tuple[str, float]]) -> None:
    rules = Rules(failures=3, rest=5.0, growth=2.0, longest=20.0)
    breaker, now, in_a_row, opened_at, away = Breaker(rules), 0.0, 0, None, False
    for what, pause in events:
        now += pause
        before = breaker.position(now)
        if what == "late-fail":  # the report of a call that went out earlier
            if before is Position.CLOSED:
                in_a_row += 1
                away = False
            elif breaker._probe is not None:  # it cannot be told from the lost probe's
                away = False
            breaker.failed(now)
            if in_a_row >= 3 and before is Position.CLOSED:
                opened_at = now
            continue
        if what == "listens":
            breaker.listens(now)
            ended = before is Position.OPEN and away
            assert breaker.position(now) is (Position.HALF_OPEN if ended else before)
            assert not ended or breaker.wait(now) == 0
            continue
        wait = breaker.admit(now)
        assert (wait > 0) or before is not Position.OPEN
        assert 0 <= wait <= rules.longest + 1e-6
        if wait > 0:
            assert before is not Position.CLOSED
            continue
        if what == "call-ok":
            breaker.succeeded()
            in_a_row, opened_at, away = 0, None, False
            assert breaker.position(now) is Position.CLOSED
        elif what == "call-lost":
            breaker.abandoned()
            assert breaker.position(now) is before
        else:
            in_a_row, away = in_a_row + 1, what == "call-away"
            breaker.failed(now, unreachable=away)
            if before is Position.HALF_OPEN or in_a_row >= 3:
                assert breaker.position(now) is Position.OPEN
                opened_at = now
            else:
                assert breaker.position(now) is Position.CLOSED
        if opened_at == now:
            assert breaker.wait(now) > rules.rest - 1e-6


def test_while_half_open_one_call_is_out() -> None:
    breaker = Breaker(Rules(failures=1, rest=5.0))
    assert breaker.admit(0.0) == 0.0
    breaker.failed(0.0)
    assert breaker.position(4.9) is Position.OPEN and breaker.admit(4.0) == 1.0
    assert breaker.wait(5.0) == 0.0  # looking takes nothing
    assert breaker.admit(5.0) == 0.0  # the probe
    assert breaker.admit(5.0) == 5.0 and breaker.admit(6.0) == 4.0
    assert breaker.admit(10.0) == 0.0  # the probe never reported back: it counts as lost


def test_the_rest_grows_up_to_its_cap() -> None:
    breaker, now, rests = Breaker(Rules(failures=1, rest=5.0, growth=2.0, longest=60.0)), 0.0, []
    for _ in range(7):
        assert breaker.admit(now) == 0.0
        breaker.failed(now)
        rests.append(breaker.wait(now))
        now += rests[-1]
    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    breaker.admit(now)
    breaker.succeeded()
    assert breaker.position(now) is Position.CLOSED


def test_a_rest_ends_when_a_system_that_was_unreachable_listens_again() -> None:
    breaker = Breaker(Rules(failures=1, rest=5.0, growth=2.0))
    breaker.failed(0.0, unreachable=True)
    breaker.listens(1.0)
    assert (
        breaker.position(1.0) is Position.HALF_OPEN and breaker.admit(1.0) == 0.0 and breaker.admit(1.0) > 0
    )  # one call goes ahead
    breaker.failed(1.0)  # it listens, and answers badly: a longer rest, to its end
    breaker.listens(2.0)
    assert breaker.position(2.0) is Position.OPEN and breaker.wait(2.0) == 9.0


def test_one_breaker_a_system() -> None:
    breakers = Breakers(Rules(failures=1))
    breakers.of("a").failed(0.0)
    assert breakers.positions(0.0) == {"a": Position.OPEN}
    assert breakers.of("b").position(0.0) is Position.CLOSED


TRIES = st.integers(1, 200)


@given(TRIES, st.integers(0, 2**32), st.floats(0, 1e6))
def test_the_next_try_lies_within_the_caps(tries: int, seed: int, waited: float) -> None:
    policy = RetryPolicy(first=2.0, longest=300.0, tries=60, seconds=86400.0)
    now = 1_795_500_000.0
    at = policy.next_try(tries, now - waited, now, Random(seed))
    if tries >= 60 or waited >= 86400.0:
        assert at is None
    elif at is not None:
        assert now + policy.least <= at <= now + min(300.0, 2.0 * 2 ** (tries - 1)) + 1e-6
        assert at < now - waited + 86400.0


@given(TRIES, st.integers(0, 2**32))
def test_the_same_dice_give_the_same_answer(tries: int, seed: int) -> None:
    policy = RetryPolicy()
    assert policy.next_try(tries, 0.0, 10.0, Random(seed)) == policy.next_try(tries, 0.0, 10.0, Random(seed))


def test_full_jitter_spreads_over_the_whole_window() -> None:
    policy = RetryPolicy(first=2.0, longest=300.0)
    waits = sorted((policy.next_try(6, 0.0, 0.0, Random(seed)) or 0.0) for seed in range(2000))
    assert waits[0] < 2.0 and waits[-1] > 62.0 and 28.0 < sum(waits) / len(waits) < 36.0
    assert max(after - before for before, after in pairwise(waits)) < 2.0


def test_a_providers_retry_after_is_heeded_within_the_cap() -> None:
    policy = RetryPolicy(first=2.0, longest=300.0)
    assert (policy.next_try(1, 0.0, 0.0, Random(1), retry_after=60) or 0) >= 60
    assert (policy.next_try(1, 0.0, 0.0, Random(1), retry_after=86400) or 0) == 300


def test_in_a_sandbox_a_failing_system_is_tried_again_within_seconds() -> None:
    rests = {}
    for kind in ("sandbox", "production"):
        breaker, now = Breaker(rules_for(kind)), 0.0
        for _ in range(20):
            while breaker.admit(now):
                now += 0.5
            breaker.failed(now)
        rests[kind] = breaker.wait(now)
    assert rests == {"sandbox": 3.0, "production": 60.0}
