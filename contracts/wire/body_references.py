"""References to opaque bodies: files beside a document, named in a text field of it.

Form (RFC 8141): `urn:lgsp:body:<id>:<size>:<SHA-256>`, with a UUID, the length in bytes, and 64 hexadecimal digits.
A reference is the whole value of a field. It states the digest, so the signature of the document covers the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

PREFIX: Final = "urn:lgsp:body:"
_REFERENCE: Final = re.compile(
    PREFIX + r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(0|[1-9][0-9]{0,14}):([0-9a-f]{64})"
)


class BodyReference(NamedTuple):
    """`body`: its id. `size`: in bytes. `sha256`: hexadecimal."""

    body: str
    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.body}:{self.size}:{self.sha256}"


def body_reference(text: str) -> BodyReference | None:
    """The reference that is the whole text; None for any other text."""
    match = _REFERENCE.fullmatch(text) if text.startswith(PREFIX) else None
    return None if match is None else BodyReference(match[1], int(match[2]), match[3])


def references_in(message: object, at: str = "") -> Iterator[tuple[str, BodyReference]]:
    """The references in a canonical message, with the paths of their fields (`attachments[0].video`)."""
    if isinstance(message, str):
        reference = body_reference(message)
        if reference is not None:
            yield at, reference
    elif isinstance(message, dict):
        for name, value in message.items():
            yield from references_in(value, f"{at}.{name}" if at else name)
    elif isinstance(message, list):
        for number, value in enumerate(message):
            yield from references_in(value, f"{at}[{number}]")
