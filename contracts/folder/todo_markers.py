"""Finds the marks of a draft where a person still has to write something; each is a finding of `check`."""

from __future__ import annotations

import re
from typing import Final

from contracts.base.errors import Finding
from contracts.folder.bundle import Bundle

MARK: Final = "TO" + "DO"  # split, so that a search for open marks in this project does not match here
_LINE: Final = re.compile(rf"\b{MARK}\b:?\s*([^\"\n]*)")


def marks(bundle: Bundle) -> list[Finding]:
    """One finding for each marked line: its place, and the hint written there."""
    findings: list[Finding] = []
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
                findings.append(Finding(f"{path}:{number}", "", MARK, "left-open", hint))
    return findings
