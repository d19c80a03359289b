"""Grants: proposed in a file, signed by two officers, counted, changed, resigned."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from examples.story.exchange import INDICATOR, QUESTION
from examples.story.world import Telling, World, check, same
from gateway.sandbox.standins import messages

OFFICERS = ("can-bo-an-toan-1", "can-bo-an-toan-2")
CALLER, AGENCY = "thuc-phan", "H14.21"  # the ward, which has no grants yet
VALUES = messages.indicator_question(**QUESTION)
CALLS = 2


def _grant(**changes: Any) -> dict[str, Any]:
    return {
        "agency": AGENCY,
        "contract": INDICATOR,
        "operations": ["getValue"],
        "fields": ["*", "!responsible"],
        "purpose": "Theo dõi chỉ tiêu kinh tế - xã hội trên địa bàn phường",
        "legal_basis": "Quy chế ban hành kèm theo Quyết định 451/QĐ-UBND, Điều 11 khoản 1",
        "quota": {"calls": CALLS, "per": "month"},
        **changes,
    }


def _propose(world: World, grant: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """Write JSON, which is YAML. Days have no quotes, as in a registry document."""
    text = (
        json.dumps({"grants": [grant]}, ensure_ascii=False)[:-3]
        + ', "valid_from": 2026-01-01, "valid_until": 2030-12-31}]}'
    )
    file = world.data / "run" / f"{grant['id']}.yaml"
    file.write_text(text, "utf-8")
    return world.lgsp("access", "propose", str(file), *more, "--data", str(world.data))


def _sign(world: World, grant: str, officer: str) -> dict[str, Any]:
    key = world.identities / officer / "officer.key"
    return world.lgsp("access", "approve", grant, "--officer", officer, "--key", str(key), "--data", str(world.data))


def proposed_and_signed(world: World) -> str:
    name = f"G-{uuid.uuid4().hex[:8]}"
    proposed = _propose(world, _grant(id=name))
    check(proposed["ok"] and proposed["grants"][0]["standing"] == "not-approved", f"a proposal: {proposed}")
    client = world.rest(CALLER)
    code: str = world.wait("the proposal to be known", lambda: _code(client.call("GET", VALUES), "access.not-approved"))
    for number, officer in enumerate(OFFICERS, 1):
        same(len(_sign(world, name, officer)["approved_by"]), number, "signatures")
    world.wait("the grant to hold", lambda: client.call("GET", VALUES).ok)
    world.remembered["granted"] = name
    return f"{code} After two signatures the ward is answered"


def out_of_quota(world: World) -> str:
    client = world.rest(CALLER)
    for _ in range(CALLS - 1):  # one was counted before
        same(client.call("GET", VALUES).status, 200, "a call within the quota")
    answer = client.call("GET", VALUES)
    words = world.refusal("quota, REST", "access.quota", answer, status=429)
    check(int(answer.headers["retry-after"]) > 0, "when to come again")
    return f"{words} Retry-After: {answer.headers['retry-after']}"


def changed(world: World) -> str:
    name = str(world.remembered["granted"])
    wanted = _grant(id=name, fields=["*"], quota={"calls": 1000, "per": "month"})
    same(_propose(world, wanted)["error"]["code"], "grant.stands", "a change that nobody meant")
    wider = _propose(world, wanted, "--replace")
    same(wider["grants"][0]["approved_by"], [], "approvals of what was changed")
    client = world.rest(CALLER)
    code: str = world.wait("the change to be known", lambda: _code(client.call("GET", VALUES), "access.not-approved"))
    world.refusal("changed grant", "access.not-approved", client.call("GET", VALUES), status=403)
    check(world.lgsp("access", "revoke", name, "--data", str(world.data))["ok"], "the grant given up")
    return code


def _code(answer: Any, code: str) -> str | None:
    problem = answer.problem
    return str(problem["detail"]) if problem is not None and problem["code"] == code else None


STEPS: tuple[Telling, ...] = (
    ("a grant is proposed, and holds once two officers have signed it", proposed_and_signed),
    ("refused: a grant whose quota is used up, with Retry-After", out_of_quota),
    ("refused: a changed grant has lost its approvals", changed),
)
