"""Composes Vietnamese letters of documents in windows-1258, which writes most of them as a letter and a combining mark.

Standard: Unicode Standard Annex 15 (form C). Invariant: only documents in that encoding change, and only a copy of
them, since a signature covers the original.
"""

from __future__ import annotations

import copy
from typing import Final

from lxml import etree

from contracts.base.composing import form_c

_DECOMPOSED: Final = frozenset({"windows-1258", "cp1258"})


def composed(element: etree._Element) -> etree._Element:
    """The element, or a copy of it with composed letters where its document is in windows-1258."""
    encoding = element.getroottree().docinfo.encoding
    if encoding is None or encoding == "UTF-8" or encoding.lower() not in _DECOMPOSED:
        return element
    copied = copy.deepcopy(element)
    for each in copied.iter():
        each.text, each.tail = _form_c(each.text), _form_c(each.tail)
        if isinstance(each.tag, str):
            for name, value in each.attrib.items():
                each.attrib[name] = form_c(str(value))
    return copied


def _form_c(text: str | None) -> str | None:
    return None if text is None else form_c(text)
