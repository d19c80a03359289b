"""The obligations of the regulation, with the test for each. `./lgsp docs` writes them to docs/obligations.md.

The rows are data (docs/obligations.yaml). The tests are read from their source: the marker `obligation(article)` and
the docstring, so that the page cannot say more than there is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
ROWS: Final = ROOT / "docs" / "obligations.yaml"
PAGES: Final = {"en": ROOT / "docs" / "obligations.md", "vi": ROOT / "docs" / "vi" / "obligations.md"}
DONE, PARTLY = "done", "partly"
Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One obligation. `waiting`: kinds of component system without a connector, each with the kind of endpoint that is
    to come."""

    articles: tuple[str, ...]
    obligation: Words
    fulfilled_by: Words
    state: str
    missing: Words | None = None
    waiting: tuple[Words, ...] = ()


class Shown(NamedTuple):
    """One test. `text`: the first paragraph of its docstring."""

    article: str
    file: str
    name: str
    text: str


@cache
def rows() -> tuple[Row, ...]:
    raw: list[dict[str, Any]] = yaml.safe_load(ROWS.read_text("utf-8"))
    return tuple(
        Row(**{**each, "articles": tuple(each["articles"]), "waiting": tuple(each.get("waiting", ()))}) for each in raw
    )


@cache
def shown() -> tuple[Shown, ...]:
    """Each test with its articles, by file."""
    return tuple(each for path in sorted(HERE.glob("test_*.py")) for each in _of(path))


def _of(path: Path) -> Iterator[Shown]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.obligation":
                    yield from (Shown(ast.literal_eval(given), path.name, node.name, text) for given in mark.args)


@dataclass(frozen=True, slots=True)
class _Text:
    """What the page says in one language."""

    head: str
    counted: str
    columns: str
    states: Words
    waiting: str
    tests: str
    halves: Words


_TEXTS: Final = {
    "en": _Text(
        head="""# Obligations of the regulation, and the test for each

Made from `docs/obligations.yaml` and the tests by `./lgsp docs`; do not edit. The regulation is Quyết định 451/QĐ-UBND
(Cao Bằng, 2022) on running the centre. A test shows its obligation through the doors of a running instance. An
obligation that is fulfilled in part says what is missing.
""",
        counted="{all} obligations: {done} done, {partly} in part.",
        columns="| article | obligation | what fulfils it | state | tests |",
        states={DONE: "done", PARTLY: "in part"},
        waiting="## Kinds of component system that wait for a connector",
        tests="## What the tests show",
        halves={},
    ),
    "vi": _Text(
        head="""# Nghĩa vụ theo Quy chế và phép thử của từng nghĩa vụ

Trang này do `./lgsp docs` lập từ `docs/obligations.yaml` và từ các phép thử; không sửa tay. Quy chế ban hành kèm theo
Quyết định 451/QĐ-UBND (Cao Bằng, 2022) về vận hành Trung tâm Giám sát, điều hành thông minh. Mỗi phép thử chứng tỏ một
nghĩa vụ qua các cửa của một phiên bản đang chạy. Nghĩa vụ mới đạt một phần thì ghi rõ còn thiếu gì.
""",
        counted="{all} nghĩa vụ: {done} đã đạt, {partly} đạt một phần.",
        columns="| điều, khoản | nghĩa vụ | cách thực hiện | trạng thái | phép thử |",
        states={DONE: "đã đạt", PARTLY: "một phần"},
        waiting="## Loại hệ thống thành phần còn chờ bộ kết nối",
        tests="## Các phép thử (nội dung bằng tiếng Anh)",
        halves={"first sentence": "câu đầu", "second half": "ý sau", "both duties": "hai nhiệm vụ"},
    ),
}


def page(language: str) -> str:
    text = _TEXTS[language]
    counts = {state: sum(row.state == state for row in rows()) for state in (DONE, PARTLY)}
    lines = [text.head, text.counted.format(all=len(rows()), **counts), "", text.columns, "|---|---|---|---|---|"]
    for row in rows():
        named = dict.fromkeys(f"`{each.name}`" for each in shown() if each.article in row.articles)
        state = text.states[row.state] + (f": {row.missing[language]}" if row.missing else "")
        articles = ", ".join(_article(each, text) for each in row.articles)
        cells = (articles, row.obligation[language], row.fulfilled_by[language], state, "<br>".join(named))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", text.waiting, ""]
    lines += [f"- {kind[language]}" for row in rows() for kind in row.waiting]
    lines += ["", text.tests, ""]
    for file in sorted({each.file for each in shown()}):
        lines += [f"`{file}`", "", "| | |", "|---|---|"]
        told = dict.fromkeys((each.name, each.text) for each in shown() if each.file == file)
        lines += [f"| `{name}` | {said} |" for name, said in told]
        lines.append("")
    return "\n".join(lines)


def _article(article: str, text: _Text) -> str:
    for english, word in text.halves.items():
        article = article.replace(english, word)
    return article
