"""Somebody's own tokens of this API. A token makes no other, or it would have no end."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.accounts import tokens
from gateway.console.site.operation import Asked


def list_tokens(asked: Asked) -> Any:
    with asked.desk.reading() as connection:
        found = tokens.listed(connection, asked.viewer.account.id, asked.now)
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
    with asked.desk.writing() as connection:
        tokens.revoke(connection, asked.viewer.account.id, asked.params["mark"], asked.now, asked.viewer.actor)


OPERATIONS = {"listTokens": list_tokens, "revokeToken": revoke_token}
