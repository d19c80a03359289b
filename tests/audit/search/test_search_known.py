"""What a person means by a name: that id, else one written alike, else those with such a title."""

from __future__ import annotations

import pytest

from gateway.audit.search.known import meaning

AGENCIES = {
    "H14.0": ("Trung tâm Giám sát", "Monitoring centre"),
    "H14.4": ("Sở Tài chính", "Department of Finance"),
    "H14.7": ("Sở Y tế", "Department of Health"),
}


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("H14.4", ["H14.4"]),
        ("h14.4", ["H14.4"]),
        ("Sở Tài chính", ["H14.4"]),
        ("SỞ TÀI CHÍNH", ["H14.4"]),
        ("so tai chinh", ["H14.4"]),
        ("tài chính", ["H14.4"]),
        ("finance", ["H14.4"]),
        ("Sở", ["H14.4", "H14.7"]),
        ("department of", ["H14.4", "H14.7"]),
        ("Sở Tài", ["H14.4"]),
        ("chính tài", []),
        ("H14", []),
        ("", []),
        ("???", []),
    ],
)
def test_what_a_name_means(name: str, ids: list[str]) -> None:
    assert meaning(AGENCIES, name) == ids
