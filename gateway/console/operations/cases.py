"""Operations on cases between agencies."""

from __future__ import annotations

from typing import Any

from gateway.console.site.operation import Asked
from gateway.console.work import cases


def listed(asked: Asked) -> Any:
    given = {name: asked.params.get(name) or "" for name in ("view", "kind", "after")}
    found = cases.listed(asked.desk, asked.viewer, given["view"], given["kind"], given["after"])
    return {
        "cases": [each.shown() for each in found.cases],
        "next": found.next,
        **cases.counts(asked.desk, asked.viewer),
    }


def one(asked: Asked) -> Any:
    seen = cases.one(asked.desk, asked.viewer, asked.params["case"])
    return {"case": seen.shown(), "acts": cases.acts(asked.desk, asked.viewer, seen)}


def open_case(asked: Asked) -> Any:
    body = {name: str(value) if not isinstance(value, bool) else "yes" * value for name, value in asked.body.items()}
    wanted = cases.wanted_of(body, tuple(asked.body.get("receivers", ())))
    case = cases.open_case(asked.desk, asked.viewer, body.get("agency", ""), wanted)
    return {"case": case.id, "state": case.state, "due": case.due}


def take(asked: Asked) -> Any:
    case = cases.take(asked.desk, asked.viewer, asked.params["case"], asked.params["act"], asked.body)
    return {"case": case.id, "state": case.state, "due": case.due}


OPERATIONS = {"listCases": listed, "readCase": one, "openCase": open_case, "takeCaseStep": take}
