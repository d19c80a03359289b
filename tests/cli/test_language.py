"""Help texts and the parser's messages in Vietnamese and English; shell completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from gateway.cli import catalogue
from gateway.cli.common.language import PARSER, language, one_line, translated_message
from tests import commandline

VIETNAMESE = re.compile("[àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ]", re.IGNORECASE)
# What a person gets wrong, and the template of what the parser says about it.
WRONG = {
    "--nope": "No such option: {option}",
    "audit search --jsn": "{message} (Possible options: {options})",
    "audit search --limit x": "Invalid value for {option}: {message}",
    "audit search --limit 0": "Invalid value for {option}: {message}",
    "audit search --limit 9999999999": "Invalid value for {option}: {message}",
    "audit watch --every x": "Invalid value for {option}: {message}",
    "audit search --outcome bad": "Invalid value for {option}: {message}",
    "audit search --limit": "Option {option} requires an argument.",
    "audit search --csv=1": "Option {option} does not take a value.",
    "audit search extra words": "Got unexpected extra argument(s) ({arguments})",
    "audit show": "Missing argument {argument}.",
    "registry suspend": "Missing argument {argument}. Choose from: {choices}",
    "client call GET /x": "Missing option {option}.",
    "registry enrol x": "Missing option {option}. Choose from: {choices}",
    "audit serch": "{message}. Did you mean {commands}?",
}


def lgsp(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the parser takes its language when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LC_MESSAGES", "LANG")}
    command = [sys.executable, "-m", "gateway", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment | variables)


@pytest.mark.parametrize("domain", [catalogue.COMMANDS, catalogue.PAGES], ids=lambda each: each.name)
def test_every_text_has_a_translation_and_none_is_stale(domain: catalogue.Domain) -> None:
    words, stored = domain.words(), domain.stored()
    assert {str(each.id) for each in stored if each.id} == {*words}, "run: python -m gateway.cli.catalogue"
    for each in stored:
        placed = [
            sorted(re.findall(r"{[^}]*}|%\([a-z]+\)s|--[a-z-]+|`[^`]*`", str(text))) for text in (each.id, each.string)
        ]
        assert each.string and not each.fuzzy and placed[0] == placed[1], each.id
    if domain is catalogue.COMMANDS:
        untranslated = [each.id for each in stored if each.id == each.string]
        assert untranslated == [], untranslated
    assert domain.po.read_bytes() == catalogue.po_file(domain.current()), "run: python -m gateway.cli.catalogue"
    assert domain.mo.read_bytes() == catalogue.mo_file(stored), "run: python -m gateway.cli.catalogue"


def test_the_language_is_that_of_the_variable_else_of_the_locale() -> None:
    assert language({"LGSP_LANG": "vi", "LANG": "en_GB.UTF-8"}) == "vi" == language({"LANG": "vi_VN.UTF-8"})
    assert language({"LGSP_LANG": "en", "LC_ALL": "vi_VN.UTF-8"}) == "en" == language({}) == language({"LANG": "C"})
    assert language({"LC_ALL": "vi_VN.UTF-8", "LANG": "en_GB.UTF-8"}) == "vi"


@pytest.mark.parametrize("words", WRONG)
def test_what_the_parser_says_is_known_to_the_catalogue(words: str) -> None:
    """A release of the parser that words it otherwise is found here."""
    ended = commandline.lgsp(*words.split(), "--json")
    assert ended.code == 2
    frame = re.sub(r"[│╭╰─╮╯]|Error", " ", ended.err)
    assert WRONG[words] in PARSER
    message = one_line(re.sub(r"(?s)^.*for help\.", "", frame))
    spoken = translated_message(message)
    assert (
        spoken != message and VIETNAMESE.search(spoken) and not re.search(r"\b(should|Missing|option|mean)\b", spoken)
    )


def test_in_vietnamese() -> None:
    helped = lgsp("audit", "search", "--help", LGSP_LANG="vi")
    assert helped.returncode == 0 and "Cách dùng: lgsp audit search [TÙY CHỌN]" in helped.stdout
    assert "mặc định: 50" in helped.stdout and "Hiển thị hướng dẫn này" in helped.stdout and "Tùy chọn" in helped.stdout
    assert not re.search(r"Usage|Options|Commands|default:|Show this", helped.stdout)
    top = lgsp("--help", LANG="vi_VN.UTF-8")
    assert "LỆNH [THAM SỐ]..." in top.stdout and "Nhật ký kiểm toán" in top.stdout and "Các lệnh" in top.stdout
    wrong = lgsp("audit", "serch", LGSP_LANG="vi")
    assert wrong.returncode == 2 and "Không có lệnh 'serch'. Có phải ý bạn là 'search'?" in wrong.stderr
    assert "Lỗi" in wrong.stderr and "Xem hướng dẫn bằng 'lgsp audit --help'" in wrong.stderr
    english = lgsp("audit", "search", "--help", LGSP_LANG="en", LANG="vi_VN.UTF-8")
    assert "Usage: lgsp audit search [OPTIONS]" in english.stdout and "[default: 50]" in english.stdout


def test_bash_completes_commands_and_options() -> None:
    shell = {"_LGSP_COMPLETE": "complete_bash"}
    commands = lgsp(COMP_WORDS="lgsp aud", COMP_CWORD="1", **shell)
    assert commands.returncode == 0 and commands.stdout.split() == ["audit"]
    below = lgsp(COMP_WORDS="lgsp audit re", COMP_CWORD="2", **shell)
    assert below.stdout.split() == ["reindex", "reconcile"]
    options = lgsp(COMP_WORDS="lgsp audit search --out", COMP_CWORD="3", **shell)
    assert options.stdout.split() == ["--outcome"]
    values = lgsp(COMP_WORDS="lgsp audit search --outcome re", COMP_CWORD="4", **shell)
    assert values.stdout.split() == ["refused", "repeated"]
    script = lgsp(_LGSP_COMPLETE="source_bash").stdout
    assert "_LGSP_COMPLETE=complete_bash" in script and "complete -o default -F _lgsp_completion lgsp" in script
