"""Reads and writes JSON with the exact digits of numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.sample_client.errors import WrongAnswer


def load_json(raw: bytes) -> Any:
    """Read the other side's JSON, decimals as `Decimal`. `WrongAnswer` if it is not JSON or too large to read."""
    try:
        return json.loads(raw, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as wrong:
        raise WrongAnswer(f"not JSON that can be read: {type(wrong).__name__}") from wrong


def dump_json(value: Any) -> bytes:
    """Compact JSON. A Decimal keeps its exact digits, which `json.dumps` cannot do."""
    return _dump(value).encode("utf-8")


def _dump(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{"
            + ",".join(f"{json.dumps(str(name), ensure_ascii=False)}:{_dump(item)}" for name, item in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_dump, value)) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("JSON has no word for infinite or undefined numbers")
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def in_words(body: bytes) -> str:
    """The text of a problem document, in the language asked for. Anything else as received, cut."""
    try:
        problem = load_json(body)
        return f"{problem['code']}: {problem['detail']} {problem['next']}"
    except (WrongAnswer, KeyError, TypeError):
        return body[:600].decode("utf-8", "replace")
