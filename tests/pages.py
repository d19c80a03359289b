"""Makes every generated page and file again, and says which changed. `./lgsp docs` calls it.

`screenshots` takes the pictures of the guides instead. `--check` writes nothing and exits with 1 when a page is stale;
a test of the project calls it so.

Invariant: the text of a generated page is a function of the tree alone, so that two runs write the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def reference() -> Mapping[Path, str]:
    from tests.reference import DOCS, pages

    return {DOCS / name: text for name, text in pages().items()}


def attacks() -> Mapping[Path, str]:
    from tests.attacks import table

    return {table.PAGE: table.page()}


def obligations() -> Mapping[Path, str]:
    from tests.obligations import table

    return {path: table.page(language) for language, path in table.PAGES.items()}


def columns() -> Mapping[Path, str]:
    from tests.attacks.audit import columns

    return {columns.PAGE: columns.whole_page()}


def schema() -> Mapping[Path, str]:
    from tests.journal import databases, schemas

    try:
        return {schemas.PATH: schemas.page()}
    finally:
        databases.end_server()


GENERATORS: tuple[Callable[[], Mapping[Path, str]], ...] = (reference, attacks, obligations, columns, schema)


def main(arguments: list[str]) -> int:
    if arguments == ["screenshots"]:
        from tests import screenshots

        return screenshots.main()
    if arguments not in ([], ["--check"]):
        sys.stderr.write(
            "Cách dùng: ./lgsp docs [--check | screenshots] / Usage: ./lgsp docs [--check | screenshots]\n"
        )
        return 2
    changed = []
    for generator in GENERATORS:
        for path, text in generator().items():
            if path.read_text("utf-8") == text:
                continue
            changed.append(path)
            if not arguments:
                path.write_text(text, "utf-8")
    for path in changed:
        sys.stdout.write(f"{'stale' if arguments else 'changed'}: {path.relative_to(ROOT)}\n")
    if not changed:
        sys.stdout.write("Mọi trang sinh ra đều mới. / All generated pages are up to date.\n")
    elif arguments:
        sys.stdout.write("Chạy / Run: ./lgsp docs\n")
    return 1 if arguments and changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
