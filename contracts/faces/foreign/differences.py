"""The published list of forms that a face accepts and the decoder refuses.

Faces agree on values; in each listed form the decoder is stricter. `tests/contracts/faces/test_faces_agree.py` proves
each entry, and that generated schemas and messages show no other difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from contracts.base.words import Words, WordsFile

Face = Literal["XSD", "JSON Schema", "OpenAPI"]
_words = WordsFile(__file__)
_JSON: Final[tuple[Face, ...]] = ("JSON Schema", "OpenAPI")


@dataclass(frozen=True, slots=True)
class Difference:
    name: str
    faces: tuple[Face, ...]

    @property
    def says(self) -> Words:
        return _words(self.name)


DIFFERENCES: Final[tuple[Difference, ...]] = (
    *(
        Difference(name, ("XSD",))
        for name in ("padding", "number", "boolean", "nil", "few", "attributes", "instruction")
    ),
    Difference("point", ("JSON Schema",)),
    *(Difference(name, _JSON) for name in ("twice", "characters", "calendar")),
    *(Difference(name, ("XSD", *_JSON)) for name in ("force", "digits")),
)
