"""The texts of cases: sealed in the vault, each under the digest that the log has of it.

Invariant: a text is shown only if its digest is that of its step's entry. A salt within keeps a short text from being
    guessed by its digest.
Invariant: after the retention of its class the key is destroyed, and the text with it. Entries and rows stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from contracts.base.errors import Failure
from contracts.base.randomness import random_bytes
from gateway.cases.errors import CASE_ALTERED, CASE_TEXT
from gateway.journal.write import VaultRow
from gateway.transfer.case_entries import Step
from gateway.vault.errors import VAULT_EXPIRED
from gateway.vault.vault import Vault

MOST_SUBJECT: Final = 200  # characters
MOST_TEXT: Final = 10_000
RETENTION: Final = "m24"


class Text(NamedTuple):
    """`gone` is the code of why there is none any more."""

    subject: str = ""
    text: str = ""
    gone: str | None = None


def checked(subject: str, text: str) -> Text:
    """Raises: case.text."""
    subject, text = subject.strip(), text.replace("\r\n", "\n").strip()
    for name, value, most in (("subject", subject, MOST_SUBJECT), ("text", text, MOST_TEXT)):
        if not value or len(value) > most:
            raise CASE_TEXT(field=name, why="missing" if not value else f"more than {most} characters")
        if any(not each.isprintable() and each not in "\n\t" for each in value):
            raise CASE_TEXT(field=name, why="characters that nobody sees")
    if "\n" in subject or "\t" in subject:
        raise CASE_TEXT(field="subject", why="more than one line")
    return Text(subject, text)


def reply(text: str) -> Text:
    """The text of a step, without a subject. Raises: case.text."""
    return Text("", checked("-", text).text)


def sealed(vault: Vault, case: str, number: int, content: Text, now: float) -> tuple[VaultRow, dict[str, Any]]:
    """The row of a text, and what its entry says of it."""
    value = {"salt": random_bytes(16).hex(), "subject": content.subject, "text": content.text}
    plain = json.dumps(value, ensure_ascii=False).encode()
    row = vault.seal(case, _part(number), plain, now, RETENTION)
    return row, {"sha256": hashlib.sha256(plain).hexdigest(), "size": len(plain)}


def opened(connection: Connection, vault: Vault, steps: Iterable[Step]) -> Mapping[tuple[str, int], Text]:
    """The texts of those steps that have one, by case and number. Raises: case.altered."""
    wanted = {f"{each.case}/{_part(each.number)}": each for each in steps if "text" in each.facts}
    bodies = vault.open_many(connection, sorted(wanted))
    texts: dict[tuple[str, int], Text] = {}
    for id, step in wanted.items():
        found = bodies.get(id)
        if isinstance(found, Failure) or id not in bodies:
            raise CASE_ALTERED(case=step.case, number=step.number)
        if found is None:
            texts[step.case, step.number] = Text(gone=VAULT_EXPIRED.code)
            continue
        if hashlib.sha256(found.plain).hexdigest() != step.facts["text"]["sha256"]:
            raise CASE_ALTERED(case=step.case, number=step.number)
        value = json.loads(found.plain)
        texts[step.case, step.number] = Text(value["subject"], value["text"])
    return texts


def _part(number: int) -> str:
    return f"case-{number}"
