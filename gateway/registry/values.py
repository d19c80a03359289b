"""Reads the values of a registry document and collects findings by path."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from typing import Any, Final

from contracts.base import naming
from contracts.base.errors import Finding
from contracts.base.words import Words
from security.grants.windows import VIETNAM

_FIRST_YEAR: Final = 1970


class Values:
    """Reads one value at a time; a wrong value gives a finding and an empty value."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def _wrong(self, path: str, rule: str, expected: str, got: str) -> None:
        self.findings.append(Finding(path or "document", "", got, rule, expected))

    def _mapping(self, path: str, value: Any, known: set[str] | None = None) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._wrong(path, "type", "names and values", kind(value))
            return {}
        for key in value:
            if not isinstance(key, str) or known is not None and key not in known:
                self._wrong(
                    f"{path}.{key}".lstrip("."),
                    "unknown",
                    f"one of {', '.join(sorted(known or ()))}",
                    "an unknown name",
                )
        return {key: item for key, item in value.items() if isinstance(key, str)}

    def _list(self, path: str, value: Any) -> list[tuple[str, Any]]:
        if not isinstance(value, list):
            self._wrong(path, "type", "a list", kind(value))
            return []
        return [(f"{path}[{number}]", item) for number, item in enumerate(value)]

    def _text(
        self,
        path: str,
        value: Any,
        pattern: re.Pattern[str] | None = None,
        *,
        limit: int = 500,
        choice: tuple[str, ...] = (),
    ) -> str:
        if not isinstance(value, str) or not value.strip():
            self._wrong(path, "required" if value is None else "type", "a text", kind(value))
            return ""
        if pattern and not pattern.fullmatch(value):
            self._wrong(path, "pattern", pattern.pattern, value)
        if (unseen := next((each for each in value if _is_unseen(each)), None)) is not None:
            self._wrong(
                path,
                "characters",
                "a text without control characters or marks that nobody sees",
                f"U+{ord(unseen):04X}",
            )
        if len(value) > limit:
            self._wrong(path, "length", f"at most {limit} characters", f"{len(value)} characters")
        if choice and value not in choice:
            self._wrong(path, "code", f"one of {', '.join(choice)}", value)
        return value

    def _words(self, path: str, value: Any) -> Words:
        """A name in both languages."""
        item = self._mapping(path, value, {"vi", "en"})
        return Words(self._name(f"{path}.vi", item.get("vi")), self._name(f"{path}.en", item.get("en")))

    def _name(self, path: str, value: Any) -> str:
        count = len(self.findings)
        text = self._text(path, value)
        if len(self.findings) == count and (odd := naming.objection(text)) is not None:
            self._wrong(path, "characters", "a name in Latin letters with the marks of Vietnamese", odd)
        return text

    def _day(self, path: str, value: Any) -> float:
        """A civil day in Vietnam, from midnight at +07:00."""
        if not isinstance(value, date) or isinstance(value, datetime):
            self._wrong(path, "required" if value is None else "type", "a day (YYYY-MM-DD)", kind(value))
            return 0.0
        if value.year < _FIRST_YEAR:
            self._wrong(path, "range", f"a day from {_FIRST_YEAR} on", value.isoformat())
            return 0.0
        return datetime(value.year, value.month, value.day, tzinfo=VIETNAM).timestamp()


def _is_unseen(character: str) -> bool:
    """Whether a text has invisible characters, direction overrides or terminal controls, which would mislead
    approvers."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\n\r\t"


def kind(value: Any) -> str:
    names: dict[type, str] = {type(None): "nothing", str: "a text", dict: "names and values", list: "a list"}
    return names.get(type(value), type(value).__name__)
