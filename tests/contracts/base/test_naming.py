"""Names: Vietnamese ones pass in either form, and what nobody sees or takes for something else does not."""

from __future__ import annotations

import itertools
import sys
import unicodedata

import pytest

from contracts.base.naming import LETTERS, MARKS, SIGNS, objection, skeleton

VOWELS = "aăâeêioôơuưy"
TONES = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
NAMES = ["Sở Thông tin và Truyền thông tỉnh Đắk Lắk", "UBND huyện Nguyên Bình (Cao Bằng) – 2026",
         "Trần Thị Mỹ Hạnh, ThS.", "Công ty TNHH «Mẫu» & Cộng sự", "Société Générale",
         "Müller & Søn A/S", "Łódź 1", "3C+"]  # fmt: skip
ODD = {
    "Hangul filler": "Sở\u115f Y tế", "half-width filler": "Sở\u3164 Y tế", "grapheme joiner": "Sở\u034f Y tế",
    "Greek omicron": "S\u03bf Y te", "Cyrillic dze": "\u0405ở Y tế", "all Cyrillic": "\u0421\u0435\u0441",
    "zero width": "Sở\u200b Y tế", "bidi": "Sở \u202eY tế", "isolate": "Sở \u2066Y tế", "tag": "Sở\U000e0041 Y tế",
    "variation": "Sở\ufe0f Y tế", "soft hyphen": "Sở\u00ad Y tế", "full width": "\uff33ở Y tế", "dotless": "S\u0131",
    "small capital": "\u1d0fk", "script g": "\u0261a", "click": "S\u01c3", "ligature": "\ufb01n", "emoji": "Sở \u2695",
    "no-break space": "Sở\u00a0Y tế", "line": "Sở\nY tế", "escape": "Sở\x1b[2J", "lone mark": "\u0301a",
    "many marks": "a\u0301\u0301\u0301", "overlay": "D\u0335", "Arabic digit": "1\u0661", "surrogate": "S\ud800",
    "mathematical": "\U0001d412ở", "cuneiform": "\U00012000", "mark on a digit": "1\u0323",
}  # fmt: skip


def test_every_vietnamese_letter_passes_in_either_form() -> None:
    for vowel, tone in itertools.product(VOWELS + VOWELS.upper(), TONES):
        for form in ("NFC", "NFD"):
            assert objection(unicodedata.normalize(form, f"L{vowel}{tone}m đĐ")) is None, (vowel, tone)
    for name in NAMES:
        assert objection(unicodedata.normalize("NFD", name)) is None and objection(name) is None, name


@pytest.mark.parametrize("case", ODD, ids=list(ODD))
def test_what_is_odd_is_refused(case: str) -> None:
    assert objection(ODD[case]) is not None


def test_no_character_passes_that_has_no_place_in_a_name() -> None:
    """Over the whole of Unicode: what passes alone is Latin, a digit of ASCII, or a listed sign."""
    for code in range(sys.maxunicode + 1):
        each = chr(code)
        if objection("a" + each) is None:
            plain = unicodedata.normalize("NFD", each)
            assert all(part.isascii() or part in LETTERS | MARKS | SIGNS for part in plain), hex(code)
            assert each.isprintable(), hex(code)


def test_names_that_look_alike_have_one_skeleton() -> None:
    for one, other in (
        ("Sở Y tế", "SỞ  Y TẾ"), ("Sở Y tế", "So Y te"), ("Sở Y tế", "S0 Y te"), ("Điện lực", "Ðiện lực"),
        ("Illinois", "lllinois"), ("Công an", "C0ng-an"), ("Bình Minh", "Binh Rninh"),
        ("Sở", unicodedata.normalize("NFD", "Sở")),
    ):  # fmt: skip
        assert skeleton(one) == skeleton(other), (one, other)
    assert skeleton("Sở Y tế") != skeleton("Sở Tư pháp") and skeleton("…!?") == ""
