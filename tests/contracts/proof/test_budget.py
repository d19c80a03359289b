"""`check` has a budget, and says what ate it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from contracts.proof.budget import Budget
from contracts.proof.check import check, check_bundle
from tests.contracts import seeded


def ticking(seconds: float) -> Budget:
    """A budget whose clock goes on by a second each time it is read."""
    ticks = count()
    return Budget(lambda: float(next(ticks)), seconds)


def test_what_used_up_the_budget_is_named() -> None:
    whole = ticking(1_000_000.0)
    assert check(seeded.BASE / "v1", whole).ok
    longest = max(whole.spent, key=lambda each: whole.spent[each])
    report = check(seeded.BASE / "v1", ticking(sum(whole.spent.values()) - 1))
    (finding,) = report.findings
    assert not report.ok and finding.rule == "budget" and f"{longest} " in finding.got


def test_a_step_ends_soon_after_its_budget() -> None:
    for seconds in (0.5, 3.0, 50.0):
        budget = ticking(seconds)
        report = check(Path(seeded.BASE / "v1"), budget)
        assert [each.rule for each in report.findings] == ["budget"]
        assert sum(budget.spent.values()) <= seconds + 2


def test_without_a_clock_nothing_is_bounded() -> None:
    report = check(seeded.BASE / "v1")
    assert report.ok and report.bundle is not None and check_bundle(report.bundle).ok
