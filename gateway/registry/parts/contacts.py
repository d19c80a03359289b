"""Reads the contacts of a registry document, or of a form: `contact` is one, `contacts` a list with duties and days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.registry.contacts import DAYS, DETAILS, DUTIES, MOST, Contact, day_of
from gateway.registry.values import Values

_REQUIRED = ("office", "phone", "email")
# Each may become a line of a mail or of a page: none has a line end, and the address names one receiver.
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_EMAIL = re.compile(r"[^\s@<>(),:;\"\\]{1,64}@[^\s@<>(),:;\"\\]{1,253}")


class StatedContacts(Values):
    def _contacts(self, path: str, item: Mapping[str, Any]) -> tuple[Contact, ...]:
        """Of an agency or system at `path`."""
        if "contacts" not in item:
            return (self._contact(f"{path}.contact", item["contact"]),) if "contact" in item else ()
        if "contact" in item:
            self._wrong(f"{path}.contact", "choice", "either contact or contacts", "both")
        return self._several(f"{path}.contacts", item["contacts"])

    def _several(self, path: str, raw: Any) -> tuple[Contact, ...]:
        stated = self._list(path, raw)
        if len(stated) > MOST:
            self._wrong(path, "length", f"at most {MOST} contacts", str(len(stated)))
            return ()
        return tuple(self._contact(at, each) for at, each in stated)

    def _contact(self, path: str, raw: Any) -> Contact:
        item = self._mapping(path, raw, {*DETAILS, "duties", *DAYS})
        for name in _REQUIRED:
            if name not in item:
                self._wrong(f"{path}.{name}", "required", "how the contact is reached (article 12.3)", "nothing")
        patterns = {"email": _EMAIL}
        details = {
            name: self._text(f"{path}.{name}", item[name], patterns.get(name, _LINE))
            for name in DETAILS
            if name in item
        }
        duties = [
            self._text(at, each, choice=DUTIES)
            for at, each in self._list(f"{path}.duties", item.get("duties", [*DUTIES]))
        ]
        if not duties:
            self._wrong(f"{path}.duties", "required", "at least one duty", "none")
        days: dict[str, Any] = {name: day_of(self._day(f"{path}.{name}", item[name])) for name in DAYS if name in item}
        if len(days) == 2 and days["valid_until"] < days["valid_from"]:
            self._wrong(f"{path}.valid_until", "range", "a day after valid_from", "an earlier one")
        known: dict[str, Any] = {name: details.get(name, "") for name in DETAILS}
        return Contact(**known, duties=tuple(each for each in DUTIES if each in duties), **days)
