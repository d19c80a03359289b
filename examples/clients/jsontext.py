"""JSON as it goes out: compact, and with exactly the digits that a number has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def dump_json(value: Any) -> bytes:
    """Compact JSON; a Decimal goes out with exactly its digits, which `json.dumps` cannot do."""
    return _dump(value).encode("utf-8")


def _dump(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(name), ensure_ascii=False)}:{_dump(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_dump, value)) + "]"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("JSON has no word for infinite or undefined numbers")
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
