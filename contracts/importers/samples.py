"""A skeleton sample of each message that a draft maps, with each field once and marked texts.

The draft's own codecs write it, so that sample and twin agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.errors import Failure
from contracts.canonical.model import Scalar
from contracts.codecs.cells.codec import CellCodec
from contracts.compiled.contract import compile_bundle
from contracts.faces.examples import Maker, Unsatisfiable
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK

NAME: Final = "mau"


class _Marked(Maker):
    """Puts the mark into texts without constraints."""

    def _texts(self, scalar: Scalar, full: bool) -> list[str]:
        usual = super()._texts(scalar, full)
        return usual if scalar.values or scalar.format or scalar.pattern or scalar.binary else [MARK, *usual]


def skeletons(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Sample and twin of each mapped message for which a valid value exists, by path."""
    compiled = compile_bundle(Bundle.of(files))
    canonical = compiled.codec("canonical")
    samples: dict[str, bytes] = {}
    for codec in compiled.formats.values():
        # A mark in a workbook or in UTF-16 is found by nobody.
        hidden = isinstance(codec, CellCodec) and (codec.media == "xlsx" or codec.layout.encoding != "utf-8")
        maker = Maker(compiled.tables) if hidden else _Marked(compiled.tables)
        for message in sorted(codec.mapped):
            try:
                value = maker.lean(compiled.messages[message])
                raw = codec.write(message, value)
                twin = canonical.write_json(message, codec.normal(message, value))
            except (Unsatisfiable, Failure):
                continue
            stem = f"samples/{codec.name}/{message}.{NAME}"
            if isinstance(codec, CellCodec):  # a file of lines, each of them a message
                twin = b"[" + twin + b"]"
            else:
                raw += b"\n"
            ending = "form" if message in codec.plans and codec.plans[message].form else codec.media
            samples |= {f"{stem}.{ending}": raw, f"{stem}.canonical.json": twin + b"\n"}
    return samples
