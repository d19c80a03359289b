"""Writes a report as PDF/A by typst, from `report.typ`. The fonts are typst's own and are embedded.

Invariant: a character that these fonts lack is drawn as U+FFFD: PDF/A refuses the whole document for it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import segno
import typst

from gateway.reports.content import Cell, Content, ShownTable, parts

_TEMPLATE: Final = Path(__file__).with_name("report.typ")
_STANDARD: Final = "a-2a"
# All but what every embedded font of the text has: Latin with all of Vietnamese, Greek, Cyrillic, signs.
_LACKING: Final = re.compile(
    "[^\t\n\r -~\u00a0-\u0377\u0391-\u03a1\u03a3-\u04ff\u1e00-\u1eff\u2000-\u2040\u2044-\u2052\u2070\u2074-\u208e"
    "\u20a0-\u20bf\u2100-\u211e\u2122\u2126-\u2151\u2153-\u2184\u2190-\u22ff\ufffd]"
)


def write(content: Content) -> bytes:
    """The bytes follow from the content alone."""
    return typst.compile(
        _TEMPLATE.read_bytes(),
        font_paths=typst.Fonts(include_system_fonts=False),
        format="pdf",
        sys_inputs={"report": _LACKING.sub("\ufffd", json.dumps(_values(content), ensure_ascii=False))},
        pdf_standards=_STANDARD,
        timestamp=int(content.report.made),
    )


def picture(svg: str) -> bytes:
    """A drawing as PNG, for forms that take no SVG."""
    source = (
        '#set page(width: 170mm, height: auto, margin: 0pt)\n#image(bytes(sys.inputs.svg), format: "svg", width: 100%)'
    )
    return typst.compile(
        source.encode(),
        font_paths=typst.Fonts(include_system_fonts=False),
        format="png",
        ppi=200,
        sys_inputs={"svg": svg},
    )


def code(content: Content) -> str:
    """The QR code of the proof, as SVG."""
    return str(segno.make(content.report.proof, error="m").svg_inline(scale=4, border=2, dark="#000000", omitsize=True))


def _values(content: Content) -> dict[str, Any]:
    at = content.drawn
    drawings = parts(
        content,
        lambda each: _table(content, each),
        lambda each: {"title": each.title, "svg": each.svg},
        code(content),
    )
    return {**drawings, "language": content.language, "day": [at.year, at.month, at.day], "author": content.issuer}


def _table(content: Content, table: ShownTable) -> dict[str, Any]:
    def row(cells: tuple[Cell, ...]) -> list[str]:
        return [content.said(cell) for cell in cells]

    total = None if table.total is None else ["" if cell is None else content.said(cell) for cell in table.total]
    return {
        "title": table.title,
        "heads": [{"title": each.title, "numeric": each.numeric, "weight": each.weight} for each in table.heads],
        "rows": [row(each) for each in table.rows],
        "total": total,
    }
