"""Generates the reference pages of `docs/` from the code: errors, contract changes, findings, settings, commands,
states.

`./lgsp docs` writes them; a project test fails if a committed page differs.
Invariant: every error code, every field of `Settings` and every command that is not hidden is on its page.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import typer

from contracts.base.errors import AnyErrorType, Branch
from contracts.base.words import Language
from contracts.diff.changes import CODES
from gateway import errors
from gateway.cli.counterparts import told
from gateway.doctor.findings import kinds
from gateway.settings import FILE, NOT_SETTINGS, PREFIX, Settings
from gateway.settings.sources import expected
from gateway.signals.listed import METRICS
from gateway.transfer import states

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
_LANGUAGES: Final[tuple[Language, ...]] = ("en", "vi")
_BRANCHES: Final = {
    Branch.THEIRS: ("What the caller can mend", "The message cannot be accepted as it is."),
    Branch.POLICY: ("What the officers decide", "The message is sound, but it is not allowed."),
    Branch.OURS: (
        "What is ours, or the provider's",
        "The gateway, or a component system behind it, could not do its part.",
    ),
}


def errors_page() -> str:
    lines = [
        "# Failures · Các lỗi",
        "",
        _prose(
            """Every refusal and every failure has one of these codes. A REST answer has it in the problem document: as
            `code`, and in `type` (`urn:lgsp:problem:<code>`). A SOAP answer has it as `lgsp:Code` in the detail of
            the Fault. The words come in Vietnamese and in English; a name in braces stands for a fact of the single
            failure. This page is made from the code by `./lgsp docs`."""
        ),
    ]
    for branch, (title, what) in _BRANCHES.items():
        types = [error for _code, error in sorted(errors.every().items()) if error.branch is branch]
        lines += ["", f"## {title}", "", what, "", "| code | HTTP | English | Tiếng Việt |", "|---|---|---|---|"]
        lines += [
            f"| `{error.code}` | {error.status} | {_words(error, 'en')} | {_words(error, 'vi')} |" for error in types
        ]
    return "\n".join(lines) + "\n"


def _words(error: AnyErrorType, language: Language) -> str:
    title, what, then = (words.of(language) for words in (error.title, error.what, error.next))
    return f"**{_cell(title)}.** {_cell(what)} *{_cell(then)}*"


def _prose(text: str) -> str:
    """Paragraphs wrapped at the width of the docs."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
    return "\n\n".join(textwrap.fill(each, 120, break_long_words=False, break_on_hyphens=False) for each in paragraphs)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").rstrip()


def changes_page() -> str:
    lines = [
        "# Changes of contracts · Các thay đổi của hợp đồng",
        "",
        _prose(
            """`lgsp contract diff` and `publish` name each change between two versions by one of these codes; `…`
            stands for a fact of the single change. [contracts.md](contracts.md) says which changes break and which
            do not. This page is made from the code by `./lgsp docs`."""
        ),
        "",
        "| code | English | Tiếng Việt |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{code}` | {_cell(words.say('en', {}))} | {_cell(words.say('vi', {}))} |"
        for code, words in ((code, CODES(code)) for code in sorted(CODES))
    ]
    return "\n".join(lines) + "\n"


def doctor_page() -> str:
    lines = [
        "# What the doctor looks for · Những điều được xét",
        "",
        _prose(
            """`lgsp doctor` names each finding by one of these codes; `…` stands for a fact of the single finding. A
            grave finding (**!**) makes the command end with exit code 1. Marks in brackets hold in production only.
            This page is made from the code by `./lgsp docs`."""
        ),
        "",
        "| code | | English | Tiếng Việt |",
        "|---|---|---|---|",
    ]
    for code, kind in kinds().items():
        mark = ("**!**" if kind.grave else "~") if kind.sandbox_too else ("(**!**)" if kind.grave else "(~)")
        texts = {
            language: (
                f"**{_cell(kind.what.say(language, {}))}.** {_cell(kind.why.say(language, {}))} "
                f"*{_cell(kind.next.say(language, {}))}*"
            )
            for language in _LANGUAGES
        }
        lines.append(f"| `{code}` | {mark} | {texts['en']} | {texts['vi']} |")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        _prose(
            f"""An instance takes the defaults, then `{FILE}` in its data folder (`name: value` lines), then the
            environment (`{PREFIX}` and the name in capitals). `--data` or `LGSP_DATA` names the data folder itself.
            This page is made from the code by `./lgsp docs`."""
        ),
        "",
        "A name that is not on this page is refused, in the file and in the environment, and the nearest one is named.",
        "",
        "| setting | environment | default | values | what it does |",
        "|---|---|---|---|---|",
    ]
    for item in fields(Settings):
        if item.name == "data":
            continue
        default = item.default if item.default not in ("", None) else "—"
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        lines.append(
            f"| `{item.name}` | `{PREFIX}{item.name.upper()}` | {shown} | {expected(item.name).en} | "
            f"{_cell(str(item.metadata['help']))} |"
        )
    lines += ["", "These variables are no settings of an instance:", "", "| variable | what it does |", "|---|---|"]
    lines += [f"| `{name}` | {_cell(words)} |" for name, words in NOT_SETTINGS.items()]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    lines = [
        "# Metrics",
        "",
        _prose(
            """What `/metrics` tells ([operating.md](operating.md#health)). Times are in seconds, and certificates in
            days. A histogram has `_bucket`, `_sum` and `_count`, a summary `_sum` and `_count`. Labels are words of
            the code or names in the registry. Of such names each process counts so many combinations as `at most`
            says; what comes after them stands under `other`. A gauge has the worst ones. This page is made from the
            code by `./lgsp docs`."""
        ),
        "",
        "| metric | kind | labels | at most | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels) or '—'} | "
        f"{each.most or '—'} | {_cell(each.help)} |"
        for each in METRICS
    ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    from gateway.cli.tree import app

    lines = [
        "# Commands",
        "",
        _prose(
            """`./lgsp` in a checkout, `lgsp` where it is installed. Every command takes `--help`; those with `--json`
            print one object with `ok`. `lgsp --version` prints the version of the package. Times in words are the
            time in Vietnam, with its offset (`2026-11-25T07:00+07:00`), on the status page and in refusals too;
            `--json` gives UTC. This page is made from the code by `./lgsp docs`."""
        ),
        "",
        _prose(
            """Help and messages of the parser are in Vietnamese or English: by `LGSP_LANG` (`vi`, `en`), else by the
            locale. Lists of the queue, alarms, cases, handlings and vendors, journeys and the labels of `audit verify`
            are in both, or in the one that `LGSP_LANG` names. `lgsp --install-completion` has the shell
            complete commands, options and values (bash, zsh, fish, PowerShell); `lgsp
            --show-completion` prints what it would install. Both are for a `lgsp` on the path."""
        ),
        "",
        _prose(
            """Three tasks belong to the script of a checkout alone. `./lgsp test` runs all checks, and the tests that
            judge a change; with `--quick` those of what changed (`--since COMMIT`), in two minutes and without a
            server; with `--full` all tests, those of the folders that follow, or a part (`--shard 1/4`). `--full
            --continue` leaves out the files that have passed on the same tree. `--full --record` writes what each file
            costs. With other arguments it is pytest. `./lgsp fmt` formats the tree. `./lgsp docs` makes the generated
            pages again; with `--check` it writes nothing and exits with 1 when a page is stale. `LGSP_TEST_SIZE=full`
            tries ten times as much in tests that are slow; `LGSP_TEST_ORDER=NUMBER` runs the test files in an order
            drawn from that number; with `LGSP_TEST_DRAWS=fixed` laws are tried with the same values in each run, as CI
            does."""
        ),
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | all well |",
        "| 1 | the answer is no: a step did not hold, a check failed, a message was refused |",
        "| 2 | wrong usage, or a setting that cannot be read |",
        "| 3 | ours: it could not be started, a server or a disk failed, no fit Python |",
        "| 130, 143 | stopped by Ctrl-C, by SIGTERM: it says what is done and how to go on; nothing "
        "incomplete looks complete |",
        "| 141 | the reader of its output went away (`lgsp … \\| head -1`) |",
        "",
        _prose(
            "`up`, `agent run`, `witness run` and `audit watch` run until one of these two signals, and "
            "then exit with 0."
        ),
        "",
        _prose(
            """Each command says by which page of the console people do the same, and by which operations of
            `openapi/management.yaml`; or why it stays with the host ([console.md](console.md))."""
        ),
        "",
        "The same mistake has the same exit code in every command:",
        "",
        "| mistake | exit code |",
        "|---|---|",
        "| there is no instance in the folder; a setting cannot be read | 2 |",
        "| a name that nobody knows: agency, system, contract, operation, grant, officer, account, machine, key, "
        "hold, issuer, origin | 2 |",
        "| an id that is none, a time or a day that is none, a range that ends before it begins or lies "
        "outside, another search's cursor | 2 |",
        "| no reason, or one that is too short | 2 |",
        "| a file that is not there, cannot be read or is not what it ought to be: key, certificate, "
        "checkpoint, document, statement, backup, invitation | 2 |",
        "| a file, folder or name that is taken already; a place that cannot be written to | 2 |",
        "| a sound id of which the log or the vault holds nothing; a part that was not kept; a hold, "
        "grant or key whose state forbids it | 1 |",
        "| a sound key that did not sign; a log, package or backup that does not verify; a contract with "
        "findings | 1 |",
        "| a message or question that a gateway refused over the network | 1 |",
        "| no room on the disk; no signed checkpoint yet; a gateway, authority or database that does not answer | 3 |",
    ]
    lines += _commands(typer.main.get_command(app), "lgsp")
    return "\n".join(lines) + "\n"


def _commands(command: Any, path: str) -> list[str]:
    """The sections of a command and its subcommands in order, without hidden ones."""
    inner: Mapping[str, Any] | None = getattr(command, "commands", None)
    if inner is not None:
        return [
            line for name, below in inner.items() if not below.hidden for line in _commands(below, f"{path} {name}")
        ]
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option" and not item.hidden]
    usage = " ".join([path, *(item.name.upper() if item.required else f"[{item.name.upper()}]" for item in arguments)])
    lines = ["", f"## `{usage}`", "", _prose(str(command.help)), "", _prose(told(path.removeprefix("lgsp ")))]
    rows = [(item.name.upper(), item) for item in arguments if item.help] + [
        (", ".join((*item.opts, *item.secondary_opts)), item) for item in options
    ]
    if rows:
        lines += ["", "| option | what it does |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(str(item.help or ''))}{_default(item)} |" for name, item in rows]
    return lines


def _default(item: Any) -> str:
    return (
        f" (default: {item.default})"
        if isinstance(item.default, int | str) and not isinstance(item.default, bool)
        else ""
    )


def architecture_page() -> str:
    """The present page with its drawing generated from the table of states."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    return re.sub(r"```mermaid\n.*?```", lambda _: f"```mermaid\n{states.drawing()}```", text, count=1, flags=re.DOTALL)


def pages() -> dict[str, str]:
    """File name in `docs/` -> text."""
    return {
        "errors.md": errors_page(),
        "changes.md": changes_page(),
        "settings.md": settings_page(),
        "doctor.md": doctor_page(),
        "metrics.md": metrics_page(),
        "commands.md": commands_page(),
        "architecture.md": architecture_page(),
    }
