"""Whoever asks what another agency sent, by stating counts in its name, learns nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.attacks.raw import Told

pytestmark = pytest.mark.server
COUNT = {
    "system": "phan-anh",
    "contract": "field-report/v1",
    "operation": "createRequest",
    "direction": "sent",
    "accepted": 1,
}
FOREIGN: dict[str, dict[str, Any]] = {
    "counts of a system of another agency": {"counts": [COUNT]},
    "in the name of that agency": {"agency": "{agency}", "counts": [COUNT]},
    "nothing but its name": {"agency": "{agency}", "counts": []},
    "one's own beside another's": {"counts": [{**COUNT, "system": "y-te"}, COUNT]},
    "what another agency received": {"counts": [{**COUNT, "system": "do-thi", "direction": "received"}]},
    "a system that there is not": {"counts": [{**COUNT, "system": "no-such"}]},
}


@pytest.mark.attack("counts of another agency")
@pytest.mark.parametrize("case", FOREIGN)
def test_counts_of_another_agency(case: str, judge: Any) -> None:
    world = judge.world
    agency = world.identity("phan-anh").agency
    assert agency != world.identity("y-te").agency
    body = json.dumps({"day": "2026-11-20", **FOREIGN[case]}).replace("{agency}", agency)
    answer = world.rest("y-te").call("POST", "/audit/reconciliation", body.encode())
    told = judge.refused(Told(answer.status, dict(answer.headers), answer.body), "reconciliation.not-yours", 403)
    assert b'"lines"' not in told.body
