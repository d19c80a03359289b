"""The language of help texts and of the parser's messages: `LGSP_LANG`, else the locale; Vietnamese or English.

English is the msgid in the code; `gateway/locale/vi/LC_MESSAGES/lgsp.po` has the Vietnamese, and `lgsp.mo` beside it is
made from it by `python -m gateway.cli.catalogue`. Typer asks gettext for some of its words and formats others itself:
the latter are recognised by `PARSER`.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typer.exceptions import TyperException

if TYPE_CHECKING:
    from contracts.base.words import Words

DOMAIN: Final = "lgsp"
LOCALE: Final = Path(__file__).parents[2] / "locale"
VARIABLE: Final = "LGSP_LANG"
# What the parser says, as it formats it; the longer ones first.
PARSER: Final = (
    "{message} (Possible options: {options})",
    "{message}. Did you mean {commands}?",
    "Invalid value for {option}: {message}",
    "Missing argument {argument}. Choose from: {choices}",
    "Missing option {option}. Choose from: {choices}",
    "Missing argument {argument}.",
    "Missing option {option}.",
    "No such option: {option}",
    "Option {option} requires an argument.",
    "Option {option} does not take a value.",
    "Got unexpected extra argument(s) ({arguments})",
    "Value error, {value} is not one of {choices}.",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be greater than or equal to {least}",
    "Input should be less than or equal to {most}",
)
USAGE, OPTIONS, COMMAND, HELP = "Usage: ", "[OPTIONS]", "COMMAND [ARGS]...", "Show this message and exit."


def language(environment: Mapping[str, str] | None = None) -> str:
    """`vi` or `en`."""
    variables = os.environ if environment is None else environment
    for name in (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := variables.get(name):
            return "vi" if value.lower().startswith("vi") else "en"
    return "en"


def spoken(words: Words, indent: str = "") -> list[str]:
    """The words in the language that `LGSP_LANG` names; in both, a line each, if it names none."""
    if os.environ.get(VARIABLE):
        return [indent + words.of("vi" if language() == "vi" else "en")]
    return [indent + words.en, indent + words.vi] if words.en != words.vi else [indent + words.en]


def either(en: str, vi: str) -> str:
    """The text in the language that `LGSP_LANG` names; in both, in one line, if it names none."""
    if os.environ.get(VARIABLE):
        return vi if language() == "vi" else en
    return f"{en} / {vi}" if en != vi else en


def take_up() -> None:
    """Have gettext use the catalogue; before the parser draws anything."""
    os.environ["LANGUAGE"] = language()
    gettext.bindtextdomain(DOMAIN, str(LOCALE))
    gettext.textdomain(DOMAIN)


@cache
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, languages=["vi"], fallback=True)


def translated(text: str) -> str:
    """The Vietnamese of a text; the text itself if there is none."""
    return _catalogue().gettext(one_line(text))


def one_line(text: str) -> str:
    """A text as it stands in the catalogue."""
    return " ".join(text.split())


def translated_message(message: str) -> str:
    """A message of the parser, in Vietnamese; one that is not known here stays as it is."""
    for template in PARSER:
        match = _pattern(template).fullmatch(one_line(message))
        if match is not None:
            values = {
                name: translated_message(value) if name == "message" else value
                for name, value in match.groupdict().items()
            }
            return translated(template).format_map(values)
    return message


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(template)))


def translate(command: Any) -> None:
    """Put the Vietnamese in place of the help of a command, of its parameters, and of all commands below it."""
    command.help = translated(command.help) if command.help else command.help
    command.options_metavar = translated(OPTIONS)
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = translated(parameter.help)
    command.get_usage = _usage_of(command.get_usage)
    command.get_help_option = _help_option_of(command.get_help_option)
    inner = getattr(command, "commands", None)
    if inner is not None:
        command.subcommand_metavar = translated(COMMAND)
        for below in inner.values():
            translate(below)


def translate_messages(command: Any) -> None:
    """Have the command that all others stand below speak Vietnamese of what it cannot parse."""
    command.make_context, command.invoke = _speaking(command.make_context), _speaking(command.invoke)


def _speaking(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except TyperException as wrong:
            text = translated_message(wrong.format_message())
            setattr(wrong, "format_message", lambda: text)  # noqa: B010
            raise

    return run


def _usage_of(usage: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda context: usage(context).replace(USAGE, f"{translated(USAGE)} ", 1)


def _help_option_of(option: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def found(context: Any) -> Any:
        help_option = option(context)
        if help_option is not None:
            help_option.help = translated(HELP)
        return help_option

    return found
