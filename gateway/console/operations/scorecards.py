"""Operations on the scorecards of systems."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import scorecards


def list_scorecards(asked: Asked) -> Any:
    found = scorecards.every(asked.desk, asked.viewer, asked.params["from"] or "", asked.params["until"] or "")
    return {"at": rfc3339(found.at), "scorecards": [each.to_json() for each in found.cards]}


def read_scorecard(asked: Asked) -> Any:
    given = (asked.params["from"] or "", asked.params["until"] or "")
    found = scorecards.one(asked.desk, asked.viewer, asked.params["system"], *given)
    return {"at": rfc3339(found.at), "scorecard": found.cards[0].to_json()}


OPERATIONS = {"listScorecards": list_scorecards, "readScorecard": read_scorecard}
