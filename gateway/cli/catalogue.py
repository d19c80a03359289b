"""The catalogues of words: `python -m gateway.cli.catalogue` brings them up to date.

It takes every help text and every word of the parser into `lgsp.po`, every text of the console into `console.po`, keeps
the translations, drops what the code no longer says, and writes the `.mo` files. A test fails if a translation is
missing or a file is stale.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gateway.cli.common.language import COMMAND, DOMAIN, HELP, LOCALE, OPTIONS, PARSER, USAGE, one_line
from gateway.cli.tree import app
from gateway.console.site import render


@dataclass(frozen=True, slots=True)
class Domain:
    """One catalogue. `words` are its texts, and where each stands first."""

    name: str
    words: Callable[[], dict[str, str]]

    @property
    def po(self) -> Path:
        return LOCALE / "vi" / "LC_MESSAGES" / f"{self.name}.po"

    @property
    def mo(self) -> Path:
        return self.po.with_suffix(".mo")

    def stored(self) -> Catalog:
        with self.po.open("rb") as file:
            return read_po(file, locale="vi", domain=self.name)

    def current(self) -> Catalog:
        """What ought to stand in the file: all words, with the translations that there are."""
        before = self.stored()
        catalogue = Catalog(locale="vi", domain=self.name, fuzzy=False)
        for text, place in self.words().items():
            known = before.get(text)
            catalogue.add(text, known.string if known is not None else "", auto_comments=[place])
        return catalogue


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


def page_words() -> dict[str, str]:
    """The texts of the console: `_()` and `{% trans %}` in templates, `N_()` in its modules and the sandbox's."""
    texts: dict[str, str] = {}
    folder = LOCALE.parent / "console"
    kinds = [("templates/**.html", "jinja2"), ("**.py", "python")]
    options = {"templates/**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}
    found = extract_from_dir(
        folder, method_map=kinds, options_map=options, keywords={"_": None, "N_": None, "gettext": None}
    )
    beside = extract_from_dir(LOCALE.parent / "sandbox", method_map=[("**.py", "python")], keywords={"N_": None})
    for file, _line, message, _comments, _context in (*found, *beside):
        texts.setdefault(str(message), Path(file).stem)
    return texts


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


COMMANDS: Final = Domain(DOMAIN, words)
PAGES: Final = Domain(render.DOMAIN, page_words)


def main() -> None:
    for domain in (COMMANDS, PAGES):
        domain.po.write_bytes(po_file(domain.current()))
        domain.mo.write_bytes(mo_file(domain.stored()))
        missing = [each.id for each in domain.stored() if each.id and not each.string]
        sys.stdout.write(f"{domain.po.name}: {len(domain.stored())} texts, {len(missing)} without a translation\n")


if __name__ == "__main__":
    main()
