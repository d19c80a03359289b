"""The catalogue of the command line's words: `python -m gateway.cli.catalogue` brings it up to date.

It takes every help text and every word of the parser into `lgsp.po`, keeps the translations, drops what the code no
longer says, and writes `lgsp.mo`. A test fails if a translation is missing or one of the two files is stale.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gateway.cli import app
from gateway.cli.common.language import COMMAND, DOMAIN, HELP, LOCALE, OPTIONS, PARSER, USAGE, one_line

PO: Final = LOCALE / "vi" / "LC_MESSAGES" / f"{DOMAIN}.po"
MO: Final = PO.with_suffix(".mo")


def words() -> dict[str, str]:
    """Every text to be translated, and the command that says it first."""
    texts: dict[str, str] = {}
    for text in (USAGE, OPTIONS, COMMAND, HELP, *PARSER):
        texts.setdefault(text.strip(), "parser")
    folder = Path(typer.__file__).parent
    for _file, _line, message, _comments, _context in extract_from_dir(
        folder, method_map=[("**.py", "python")], keywords={"_": None}
    ):
        texts.setdefault(str(message), "typer")
    for text, command in _help(typer.main.get_command(app), "lgsp"):
        texts.setdefault(one_line(text), command)
    return texts


def _help(command: Any, path: str) -> Iterator[tuple[str, str]]:
    if command.hidden:
        return
    for text in (command.help, *(getattr(each, "help", None) for each in command.params)):
        if text:
            yield text, path
    for name, below in getattr(command, "commands", {}).items():
        yield from _help(below, f"{path} {name}")


def stored() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file, locale="vi", domain=DOMAIN)


def current() -> Catalog:
    """What ought to stand in `lgsp.po`: all words, with the translations that there are."""
    before = stored()
    catalogue = Catalog(locale="vi", domain=DOMAIN, fuzzy=False)
    for text, command in words().items():
        known = before.get(text)
        catalogue.add(text, known.string if known is not None else "", auto_comments=[command])
    return catalogue


def po_file(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalogue, width=120, no_location=True, omit_header=True)
    return HEADER + out.getvalue()


def mo_file(catalogue: Catalog) -> bytes:
    catalogue.creation_date = catalogue.revision_date = datetime(
        2026, 1, 1, tzinfo=UTC
    )  # the same words, the same file
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


HEADER: Final = b"""# Words of lgsp in Vietnamese; see docs/commands.md.
msgid ""
msgstr ""
"Language: vi\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def main() -> None:
    PO.write_bytes(po_file(current()))
    MO.write_bytes(mo_file(stored()))
    missing = [each.id for each in stored() if each.id and not each.string]
    sys.stdout.write(f"{PO.name}: {len(stored())} texts, {len(missing)} without a translation\n")


if __name__ == "__main__":
    main()
