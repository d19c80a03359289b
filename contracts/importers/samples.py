"""A skeleton sample of each message that a draft maps: every field once, texts marked for people to put real ones in.

Written by the draft's own codecs, so that the pair of sample and twin holds from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.errors import Failure
from contracts.canonical.model import Scalar
from contracts.compiled.contract import compile_bundle
from contracts.faces.examples import Maker, Unsatisfiable
from contracts.folder.bundle import Bundle
from contracts.folder.todo_markers import MARK

NAME: Final = "mau"


class _Marked(Maker):
    """Texts that may be any bear the mark."""

    def _texts(self, made: Scalar, full: bool) -> list[str]:
        usual = super()._texts(made, full)
        return usual if made.values or made.format or made.pattern or made.binary else [MARK, *usual]


def skeletons(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Sample and twin of each mapped message for which values are found that keep all constraints."""
    compiled = compile_bundle(Bundle.of(files))
    canonical, maker = compiled.codec("canonical"), _Marked(compiled.tables)
    made: dict[str, bytes] = {}
    for codec in compiled.formats.values():
        for message in sorted(codec.mapped):
            try:
                value = maker.lean(compiled.messages[message])
                raw = codec.write(message, value)
                twin = canonical.write_json(message, codec.normal(message, value))
            except (Unsatisfiable, Failure):
                continue
            stem = f"samples/{codec.name}/{message}.{NAME}"
            made |= {f"{stem}.{codec.media}": raw + b"\n", f"{stem}.canonical.json": twin + b"\n"}
    return made
