"""Somebody's own tokens of this API. A token makes no other, or it would have no end."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.accounts import tokens
from gateway.console.site.operation import Asked


def list_tokens(asked: Asked) -> Any:
    with asked.desk.accounts() as rows:
        found = tokens.listed(rows, asked.viewer.account.id, asked.now)
    return {
        "tokens": [
            {
                "mark": each.mark,
                "label": each.label,
                "created": rfc3339(each.created),
                "expires": rfc3339(each.expires),
            }
            for each in found
        ]
    }


def revoke_token(asked: Asked) -> None:
    with asked.desk.changing(asked.viewer) as change:
        tokens.revoke(change, asked.viewer.account.id, asked.params["mark"])


OPERATIONS = {"listTokens": list_tokens, "revokeToken": revoke_token}
