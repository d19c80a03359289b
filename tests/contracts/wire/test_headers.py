"""Header fields are read in one way, whatever room reads them."""

from __future__ import annotations

import pytest

from contracts.wire.headers import joined, media_type


def test_names_in_any_case_and_repeated_fields() -> None:
    raw = ((b"Accept", b" a "), (b"X", b"\xe9"), (b"accept", b"b,c"))
    assert joined(raw) == {"accept": "a, b,c", "x": "é"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ""),
        ("", ""),
        ("Text/XML", "text/xml"),
        ("application/json ; charset=utf-8", "application/json"),
        (";", ""),
    ],
)
def test_a_media_type_is_lower_case_and_bare(text: str | None, found: str) -> None:
    assert media_type({} if text is None else {"content-type": text}) == found
