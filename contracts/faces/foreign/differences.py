"""Where a face takes a form that the decoder refuses: the published list. Faces agree on values; in all that is listed the decoder is stricter.

Each one is proved by `tests/contracts/faces/test_faces_agree.py`: the face takes the form, the decoder does not, and nothing else was found between
faces on generated schemas and messages.
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
