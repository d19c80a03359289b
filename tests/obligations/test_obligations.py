"""The rows of obligations and the tests name each other, and the page says what is missing."""

from __future__ import annotations

import re

from adapters.kinds import KINDS
from tests.obligations.table import DONE, HERE, PARTLY, Row, Words, rows, shown

ARTICLES = [article for row in rows() for article in row.articles]
OBLIGATIONS = 29  # rows of the table of the regulation's obligations


def test_every_row_is_whole() -> None:
    assert len(rows()) == OBLIGATIONS and len(set(ARTICLES)) == len(ARTICLES)
    for row in rows():
        assert row.state in (DONE, PARTLY) and (row.missing is not None) == (row.state == PARTLY), row.articles
        assert all(set(each) - {"adapter"} == {"vi", "en"} for each in _words(row)), row.articles
        assert all(each["vi"] and each["en"] for each in _words(row)), row.articles


def _words(row: Row) -> list[Words]:
    return [row.obligation, row.fulfilled_by, *([row.missing] if row.missing else []), *row.waiting]


def test_every_row_that_is_done_has_a_test_and_every_test_names_a_row() -> None:
    tested = {each.article for each in shown()}
    assert [row.articles for row in rows() if row.state == DONE and tested.isdisjoint(row.articles)] == []
    assert sorted(tested - set(ARTICLES)) == []


def test_every_test_cites_its_article_and_stands_in_the_file_of_it() -> None:
    marked = {(each.file, each.name) for each in shown()}
    for path in HERE.glob("test_*.py"):
        if path.name != "test_obligations.py":
            names = re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.M)
            assert [name for name in names if (path.name, name) not in marked] == [], path.name
    for each in shown():
        assert f"Article {each.article}" in each.text, f"{each.file}::{each.name}"
        part, _, rest = each.article.partition("/")
        number = re.match(r"\d+", part)
        file = f"test_article_{int(number[0]):02}.py" if number else f"test_part_{part.lower()}.py"
        assert each.file == file, f"{each.name} ({rest or part})"


def test_a_kind_of_system_waits_only_as_long_as_it_has_no_connector() -> None:
    waiting = [kind["adapter"] for row in rows() for kind in row.waiting]
    assert [kind for kind in waiting if kind in KINDS] == []
