"""What a draft leaves to people: lines with the mark, each a finding of `check` until somebody has written what belongs there."""

from __future__ import annotations

import re
from typing import Final

from contracts.base.errors import Finding
from contracts.folder.bundle import Bundle

MARK: Final = "TO" + "DO"  # written so that a search for what is left open in this project's own code does not find it
_LINE: Final = re.compile(rf"\b{MARK}\b:?\s*([^\"\n]*)")


def marks(bundle: Bundle) -> list[Finding]:
    """One finding a line: where, and the hint that stands there."""
    found: list[Finding] = []
    for path, raw in bundle.files.items():
        if MARK.encode() not in raw:
            continue
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            match = _LINE.search(line)
            if match is not None:
                hint = (
                    "a real message / bản tin thật"
                    if path.startswith("samples/")
                    else match[1].strip() or "what belongs there"
                )
                found.append(Finding(f"{path}:{number}", "", MARK, "left-open", hint))
    return found
