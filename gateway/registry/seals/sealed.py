"""The newest seal of the registry, as `instance` has it (`gateway.registry.seals.sealing`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection

from gateway.journal.values import value_of
from gateway.registry.seals.rows import Rows

KEY: Final = "registry.seal"  # of `instance`


@dataclass(frozen=True, slots=True)
class Sealed:
    """One seal. `rows` has the digest of each row."""

    revision: int
    digest: str
    entry: str
    seal: str
    rows: Rows

    @classmethod
    def read(cls, connection: Connection) -> Sealed | None:
        """The stored seal, None if there is none. Raises ValueError for an invalid one."""
        stored = value_of(connection, KEY)
        return None if stored is None else cls.parsed(stored)

    @classmethod
    def parsed(cls, stored: str) -> Sealed:
        """Raises ValueError."""
        try:
            value = json.loads(stored)
            return cls(
                int(value["revision"]),
                str(value["digest"]),
                str(value["entry"]),
                str(value["seal"]),
                dict(value["rows"]),
            )
        except (AttributeError, KeyError, TypeError) as trouble:
            raise ValueError(str(trouble)) from None


@lru_cache(maxsize=1)
def revision_of(stored: str) -> int:
    """Each process asks twice a second, and it is long: it has a digest of each row. Raises ValueError."""
    return Sealed.parsed(stored).revision
