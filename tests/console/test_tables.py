"""Tables and small words of the pages, read from the templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import console
from gateway.console.site.render import environment

TEMPLATES = Path(console.__file__).parent / "templates"
_TABLE = re.compile(r"<thead>(.*?)</thead>(.*?)</table>", re.DOTALL)


@pytest.mark.parametrize("name", sorted(each.name for each in TEMPLATES.glob("*.html")))
def test_the_head_of_a_column_of_numbers_stands_above_them(name: str) -> None:
    """Only tables whose first row has as many cells as its head: others choose their columns."""
    for head, body in _TABLE.findall((TEMPLATES / name).read_text()):
        heads, row = re.findall(r"<th\b[^>]*>", head), re.search(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
        cells = re.findall(r"<t[dh]\b[^>]*>", row[1]) if row else []
        if len(heads) == len(cells):
            numbers = [[number for number, each in enumerate(row) if '"number"' in each] for row in (heads, cells)]
            assert numbers[0] == numbers[1], head


@pytest.mark.parametrize(
    ("seconds", "said"), [(119.4, "119 s"), (120, "2 minutes"), (7_200, "2 hours"), (3 * 86_400, "3 days")]
)
def test_a_wait_is_told_in_a_unit_that_is_read_at_once(seconds: float, said: str) -> None:
    assert (
        environment("en").from_string('{% import "ui.html" as ui with context %}{{ ui.lag(s) }}').render(s=seconds)
        == said
    )


def test_what_to_do_about_an_unknown_address_names_one() -> None:
    """It ended with "see the catalogue at …" on the page of a transfer."""
    for language in ("vi", "en"):
        assert environment(language).from_string("{{ next_of('address.unknown') }}").render().endswith("/contracts.")
