"""Characters of XML 1.0, and text as Canonical XML writes it (Canonical XML 1.0 §2.3, exclusive C14N alike).

What these two functions return is byte for byte what canonicalisation would make of it.
"""

from __future__ import annotations

import re
from typing import Final

ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TEXT_NEEDS: Final = re.compile("[&<>\r]")
_ATTRIBUTE_NEEDS: Final = re.compile('[&<"\t\n\r]')
_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE: Final = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})


def escape_text(value: str) -> str:
    return value.translate(_TEXT) if _TEXT_NEEDS.search(value) is not None else value


def escape_attribute(value: str) -> str:
    return value.translate(_ATTRIBUTE) if _ATTRIBUTE_NEEDS.search(value) is not None else value
