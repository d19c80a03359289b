"""The pages of the project: links lead somewhere, each page is in the index, languages pair up, prose keeps its
width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.kinds import KINDS
from gateway import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
WIDTH = 120
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]+`")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines outside of blocks of code."""
    fence = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        mark = re.match(r" *(```+|~~~+)", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence:
            yield number, line


def _anchors(path: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = (re.match(r"#+ (.*)", line) for _, line in _lines(path))
    texts = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]) for heading in headings if heading)
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for number, line in _lines(path):
        for target in _LINK.findall(_CODE.sub("", line)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            if not file.exists() or anchor and anchor not in _anchors(file):
                broken.append(f"{path.name}:{number}: {target}")
    assert not broken


def test_the_index_names_every_page() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / target.partition("#")[0]).resolve() for target in _LINK.findall(index.read_text("utf-8"))}
    linked |= {
        (DOCS / "decisions" / target).resolve()
        for target in _LINK.findall((DOCS / "decisions" / "README.md").read_text("utf-8"))
    }
    assert sorted(set(DOCS.rglob("*.md")) - linked - {index}) == []


def test_a_page_in_vietnamese_has_the_name_of_the_english_one() -> None:
    assert [path.name for path in (DOCS / "vi").iterdir() if not (DOCS / path.name).exists()] == []


def _section(path: Path, title: str) -> str:
    return path.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("title", "twin"), [("Several machines", "Nhiều máy"), ("Upgrading", "Nâng cấp")])
def test_sections_for_operators_name_the_same_in_both_languages(title: str, twin: str) -> None:
    """Commands, settings and codes; not what stands for a name or a reason."""

    def named(text: str) -> set[str]:
        prose = " ".join(re.sub(r"(?s)```.*?```", "", text).split())
        return {each for each in _CODE.findall(prose) if re.fullmatch(r"`[a-z0-9_./ -]+`", each)}

    first, second = _section(DOCS / "operating.md", title), _section(DOCS / "vi" / "operating.md", twin)
    assert named(first) == named(second) and len(named(first)) > 5
    blocks = [re.findall(r"(?s)```sh\n(.*?)```", re.sub(r"(?m) *#.*", "", text)) for text in (first, second)]
    assert blocks[0] == blocks[1]
    assert first.count("\n| ") == second.count("\n| ")


def test_a_page_that_the_product_names_exists() -> None:
    texts = [
        path
        for folder in ("gateway", "contracts", "security", "adapters", "deploy")
        for path in (ROOT / folder).rglob("*")
    ]
    named = {
        page: path.name
        for path in texts
        if path.suffix in {".py", ".yaml", ".html", ".service"}
        for page in re.findall(r"\bdocs/(?:[a-z]+/)?[a-z-]+\.md", path.read_text("utf-8"))
    }
    assert {page: name for page, name in named.items() if not (ROOT / page).exists()} == {}


def test_a_decision_is_short() -> None:
    for path in (DOCS / "decisions").glob("[0-9]*.md"):
        text = path.read_text("utf-8")
        assert text.count("\n") <= 40, path
        assert re.findall(r"(?m)^## (.*)", text) == ["Context", "Decision", "Consequences"], path


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_is_at_most_120_columns_wide(path: Path) -> None:
    """A table, and a line that is one link or one piece of code, cannot be broken."""
    wide = [
        f"{path.name}:{number}: {line[:60]}"
        for number, line in _lines(path)
        if len(line) > WIDTH
        and not line.lstrip().startswith("|")
        and " " in _CODE.sub("", _LINK.sub("", line)).strip(" -*.,;:")
    ]
    assert not wide


TRIED = ("A signature algorithm", "A kind of adapter", "A task of the keeper", "A field of the audit search")


def test_the_files_that_the_recipes_name_exist() -> None:
    """But for the recipes that tests follow. Words in capitals stand for a name that the contributor chooses."""
    sections = re.split(r"(?m)^### ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    text = "\n".join(each for each in sections if not each.startswith(TRIED))
    named = {each for each in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if not each.startswith(".")}
    chosen = re.compile(r"/[A-Z]{4,}.*")
    assert len(named) > 10
    assert [each for each in sorted(named) if not (ROOT / chosen.sub("", each)).exists()] == []


def test_the_list_of_changes_begins_with_this_version() -> None:
    versions = re.findall(r"(?m)^## (\S+) \((\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert versions and versions[0][0] == __version__


def test_every_kind_of_endpoint_is_named_where_systems_are_registered() -> None:
    text = (DOCS / "operating.md").read_text("utf-8")
    for kind in KINDS.values():
        assert f"kind: {kind.name}" in text
        assert all(f"`{each.name}: " in text or f'{each.name}: "' in text for each in kind.options)
