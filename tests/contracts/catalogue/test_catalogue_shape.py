"""The catalogue as a whole: nine contracts, each with foreign formats in XML and JSON, samples of every mapped
message, Vietnamese to the last letter."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from contracts.base.words import Language
from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import catalogue_folders
from contracts.proof.check import check
from contracts.wire.soap import parse_xml

FOLDERS = {f"{folder.parent.name}/{folder.name}": folder for folder in catalogue_folders()}
NINE = [
    "camera-event/v1",
    "dossier-status/v1",
    "field-report/v1",
    "handling-report/v1",
    "incident-alert/v1",
    "indicator/v1",
    "observation/v1",
    "official-document/v1",
    "reference-query/v1",
]
MARKS = ["", "\u0300", "\u0301", "\u0309", "\u0303", "\u0323"]
LETTERS = {unicodedata.normalize("NFC", letter + mark) for letter in "aăâeêioôơuưy" for mark in MARKS} | {"đ"}


def test_the_nine_are_there(catalogue: dict[str, CompiledContract]) -> None:
    assert list(FOLDERS) == sorted(catalogue) == NINE


@pytest.mark.parametrize("name", NINE)
def test_check_is_green_and_every_sample_is_proved(name: str, catalogue: dict[str, CompiledContract]) -> None:
    report = check(FOLDERS[name])
    assert report.findings == []
    assert sum(each.startswith("sample ") for each in report.proved) == len(catalogue[name].samples)


@pytest.mark.parametrize("name", NINE)
def test_each_speaks_foreign_xml_and_foreign_json_and_shows_it(
    name: str, catalogue: dict[str, CompiledContract]
) -> None:
    compiled = catalogue[name]
    foreign = {codec.name: codec for codec in compiled.formats.values() if codec.name != "canonical"}
    assert {codec.media for codec in foreign.values()} >= {"json", "xml"}
    shown = {(sample.format, sample.message) for sample in compiled.samples}
    for codec in foreign.values():
        assert any(sample.format == codec.name for sample in compiled.samples)
    for message in compiled.exchanged:
        assert any(each == message for _, each in shown), f"no sample of {message}"
        mapped = [codec.name for codec in foreign.values() if message in codec.mapped]
        assert not mapped or any((format_name, message) in shown for format_name in mapped), (
            f"no foreign sample of {message}"
        )


@pytest.mark.parametrize("name", NINE)
def test_each_says_whose_it_is_and_by_what_law(name: str, catalogue: dict[str, CompiledContract]) -> None:
    contract = catalogue[name].contract
    for words in (contract.title, contract.description, *(op.title for op in contract.operations.values())):
        assert words.vi != words.en and not words.vi.isascii()
    assert contract.owner_role in ("centre", "department") and contract.legal_basis and contract.retention_months >= 24


@pytest.mark.parametrize("name", NINE)
def test_samples_hold_every_vietnamese_letter(name: str) -> None:
    files = [path for path in (FOLDERS[name] / "samples").rglob("*") if path.suffix in (".json", ".xml")]
    text = "".join(path.read_text("utf-8") for path in files)
    assert unicodedata.is_normalized("NFC", text)
    assert LETTERS - set(text.lower()) == set()


@pytest.mark.parametrize("name", NINE)
def test_a_foreign_sample_is_written_again_as_it_stood(name: str, catalogue: dict[str, CompiledContract]) -> None:
    """What is read of a sample and written in its own format says the same: only order, white space and what is read
    over may differ."""
    compiled = catalogue[name]
    for sample in compiled.samples:
        codec = compiled.codec(sample.format)
        if codec.name == "canonical" or codec.media not in ("json", "xml"):
            continue
        if codec.media == "json":
            written: Any = json.loads(codec.write_json(sample.message, codec.read_json(sample.message, sample.raw)))
            assert written == json.loads(sample.raw), sample.name
        else:
            root = parse_xml(sample.raw, published=True)
            again = parse_xml(codec.write_xml(sample.message, codec.read_xml(sample.message, root)))
            assert told(again) == told(root), sample.name


def told(element: Any) -> Any:
    """An element without order of its parts and white space between them; an XML signature inside is left out."""
    parts = [told(child) for child in element if isinstance(child.tag, str) and not child.tag.endswith("}Signature")]
    return element.tag, sorted(element.attrib.items()), "" if parts else element.text or "", sorted(parts, key=repr)


def test_pages_and_guide_list_what_is_there(catalogue: dict[str, CompiledContract]) -> None:
    """docs/catalogue.md and its Vietnamese twin name every contract, its titles and owner, each operation and each
    format."""
    docs = Path(__file__).parents[3] / "docs"
    pages: tuple[tuple[Path, Language], ...] = ((docs / "catalogue.md", "en"), (docs / "vi" / "catalogue.md", "vi"))
    for file, language in pages:
        sections = {
            part.partition("\n")[0].split("`")[1]: part
            for part in file.read_text("utf-8").split("\n## `")[1:]
            for part in ["`" + part]
        }
        assert sorted(sections) == NINE, file.name
        for name, text in sections.items():
            compiled = catalogue[name]
            contract = compiled.contract
            assert contract.title.say(language, {}) in text.partition("\n")[0]
            rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
            assert sorted(rows) == sorted(
                [*contract.operations, *(each for each in compiled.formats if each != "canonical")]
            ), (
                file.name,
                name,
            )
            text = " ".join(text.split())  # prose is wrapped
            assert f"`{contract.owner_role}`" in text and f" {contract.retention_months} " in text
            for basis in contract.legal_basis:
                assert basis in text, (file.name, name, basis)
            for table in compiled.tables:
                assert f"`{table}`" in text, (file.name, name, table)
