"""Names the places of findings in the sender's own format, where only the canonical path was known."""

from __future__ import annotations

from dataclasses import replace

from contracts.base.errors import BRANCHES, Failure, Finding
from gateway.exchange.doors import Door
from gateway.transfer.stages import Reached, Requested


def placed(failure: Failure, reached: Reached, door: Door) -> Failure:
    """The failure as its caller gets it. Business keys are compared in the canonical message."""
    if not isinstance(reached, Requested) or all(each.here or not each.canonical for each in failure.findings):
        return failure
    findings = [_placed(each, reached, door) for each in failure.findings]
    return BRANCHES[failure.branch](failure.type, findings=findings, retry_after=failure.retry_after, **failure.facts)


def _placed(finding: Finding, requested: Requested, door: Door) -> Finding:
    if finding.here or not finding.canonical:
        return finding
    return replace(finding, here=door.here(requested, finding.canonical.split(", ")))
