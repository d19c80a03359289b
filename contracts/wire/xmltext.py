"""Characters of XML 1.0, and text escaped as Canonical XML writes it (Canonical XML 1.0 §2.3, exclusive C14N alike).

Invariant: both functions return exactly the bytes that canonicalisation would produce.
"""

from __future__ import annotations

import re
from typing import Final

# NCName of Namespaces in XML 1.0.
_START: Final = (
    "A-Z_a-z\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f\\u2c00-\\u2fef"
    "\\u3001-\\ud7ff\\uf900-\\ufdcf\\ufdf0-\\ufffd\\U00010000-\\U000effff"
)
NCNAME: Final = rf"[{_START}][{_START}\-.0-9\u00b7\u0300-\u036f\u203f\u2040]*"

ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TEXT_NEEDS: Final = re.compile("[&<>\r]")
_ATTRIBUTE_NEEDS: Final = re.compile('[&<"\t\n\r]')
_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
)


def escape_text(value: str) -> str:
    return value.translate(_TEXT) if _TEXT_NEEDS.search(value) is not None else value


def escape_attribute(value: str) -> str:
    return value.translate(_ATTRIBUTE) if _ATTRIBUTE_NEEDS.search(value) is not None else value
