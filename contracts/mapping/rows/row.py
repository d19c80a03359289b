"""A row of a mapping table, as the kinds of row read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.folder.source_locations import Path
from contracts.mapping.rows.conditions import Condition


@dataclass(frozen=True, slots=True)
class Row:
    """`words` are the keys of the row, `at` its path in the document, `condition` its `when`."""

    words: Mapping[str, Any]
    at: Path
    condition: Condition | None = None

    @property
    def canonical(self) -> Any:
        return self.words.get("canonical")

    @property
    def here(self) -> Any:
        return self.words.get("here")
