"""The quick ways of reading XML and envelopes against the general ones and against xmlsec: the same verdict, the same
content, over many mutations.

2,000 mutated envelopes and 2,000 mutated documents by default, 200,000 of each with LGSP_TEST_SIZE=full. How many were
accepted by whom is told on standard output (`-s`) and must not fall below a share, so that the mutations reach deep. A
difference names its seed: `LGSP_TEST_SEED=n` begins there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import xmlsec
from cryptography import x509
from lxml import etree

from contracts.base.errors import Failure
from contracts.canonical.findings import Enough
from contracts.codecs.codec import Codec
from contracts.codecs.xmlproblems import XmlProblems
from contracts.compiled.contract import CompiledContract, catalogue
from contracts.compiled.loader import load
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.soap import V11, V12, Version, parse_envelope, parse_xml
from security.pki.authority import certificate_pem
from security.wssec.fast_path import verify_fast
from security.wssec.names import DS, WSU
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.attacks.mutating import mutate, mutate_text
from tests.contracts.xmlmessages import xml_messages, xml_of
from tests.security import conftest as keys
from tests.size import mutations

house, p256, rsa_pair, now = keys.house, keys.p256, keys.rsa_pair, keys.now  # fixtures of theirs

SEED: Final = int(os.environ.get("LGSP_TEST_SEED", "20261127"))
MANY: Final = mutations(2_000)
SPACE: Final = "urn:lgsp:contract:observation:v1"
READING: Final = (
    "<a:readings><a:phenomenonTime>2026-11-24T00:00:00Z</a:phenomenonTime><a:result>1.5</a:result></a:readings>"
)
CONTENT: Final = (
    f'<a:submitReadings xmlns:a="{SPACE}"><a:Datastream><a:id>ab</a:id></a:Datastream>{READING}'
    "<a:readings><a:phenomenonTime>2026-11-24T01:00:00Z</a:phenomenonTime><a:result>-2</a:result><a:resultQuality>tốt "
    "&amp; rõ</a:resultQuality>"
    "</a:readings></a:submitReadings>"
)
REFUSED: Final = "refused"


def seeds() -> Iterator[tuple[int, random.Random]]:
    for number in range(MANY):
        seed = SEED + number
        yield seed, random.Random(seed)


# --- envelopes --------------------------------------------------------------------------------------------------------


class Judges:
    """Three readers of one signer's envelopes."""

    def __init__(self, pair: Any, codec: Codec, now: float) -> None:
        self.pair, self.codec, self.now = pair, codec, now
        self.find = {pair.verify.thumbprint: pair.verify}.get
        self._key = xmlsec.Key.from_memory(
            certificate_pem(x509.load_der_x509_certificate(pair.sign.certificate_der)),
            xmlsec.constants.KeyDataFormatCertPem,
        )

    def quick(self, raw: bytes, version: Version) -> Any:
        found = verify_fast(raw, version, self.find, self.now)
        if found is None:
            return None
        value = self.codec.read_canonical_xml("Readings", found.content)
        return None if value is None else (found.key.key_id, found.action, found.message_id, found.relates_to, value)

    def general(self, raw: bytes, version: Version) -> Any:
        """By the reader that takes any document; the quick reader of XML is left out of it."""
        try:
            found = verify_envelope(parse_envelope(raw, version), self.find, self.now)
        except Failure as failure:
            return REFUSED, failure.code
        elements = [each for each in found.body if isinstance(each.tag, str)]
        value = (
            generally(self.codec, "Readings", elements[0])
            if len(elements) == 1 and elements[0].tag in xml_of(self.codec, "Readings").roots
            else None
        )
        return found.key.key_id, found.action, found.message_id, found.relates_to, value

    def xmlsec(self, raw: bytes) -> bool:
        """Whether libxmlsec1 finds the signature and all its digests right."""
        try:
            root = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
            signature = root.find(f".//{{{DS}}}Signature")
            if signature is None:
                return False
            context = xmlsec.SignatureContext()
            context.key = self._key
            for element in root.iter(etree.Element):
                if element.get(f"{{{WSU}}}Id"):
                    context.register_id(element, "Id", WSU)
                elif element.get("Id"):
                    context.register_id(element, "Id")
            context.verify(signature)
        except (etree.XMLSyntaxError, xmlsec.Error, ValueError):
            return False
        return True


def generally(codec: Codec, message: str, element: Any) -> Any:
    """What the general reader makes of a document; None where it finds anything wrong."""
    inner, into = xml_of(codec, message), dict[str, Any]()
    problems = XmlProblems(element, inner.prefixes)
    try:
        inner.read(element, into, None, problems)
    except Enough:
        return None
    return into if not problems.findings and codec._validators[message].is_valid(into) else None


def envelope(pair: Any, now: float, chance: random.Random, version: Version) -> str:
    made = sign_envelope(
        CONTENT.encode(),
        pair.sign,
        now + chance.choice((0, 0, 0, 0, -301, 6)),
        EnvelopeHeaders(
            action="urn:a",
            message_id="urn:uuid:1",
            to=chance.choice((None, "https://x.example/a?b=c")),
            relates_to=chance.choice((None, "urn:uuid:2")),
        ),
        version=version,
    )
    return made.decode()


def signed_anew(text: str, pair: Any, exactly: bool) -> str:
    """The same envelope with digests and signature of what it holds now, as a signer would make them who wants two
    readers to see two things: over the bytes as they stand (`exactly`), or over the canonical form."""
    start, end = text.find("<ds:SignedInfo"), text.find("</ds:SignedInfo>") + 16
    value_start, value_end = text.find("<ds:SignatureValue>") + 19, text.find("</ds:SignatureValue>")
    if not 0 <= start < end <= value_start <= value_end:
        return text
    parts = by_bytes(text) if exactly else by_tree(text)
    info = text[start:end]
    for ident, part in parts.items():
        digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
        info = re.sub(
            rf'(URI="#{re.escape(ident)}".*?<ds:DigestValue>)[^<]*', rf"\g<1>{digest}", info, count=1, flags=re.DOTALL
        )
    canonical = info.encode("utf-8", "replace")
    if not exactly:
        try:
            root = parse_xml((text[:start] + info + text[end:]).encode())
            found = root.find(f".//{{{DS}}}SignedInfo")
            canonical = (
                etree.tostring(found, method="c14n", exclusive=True, with_comments=False)
                if found is not None
                else canonical
            )
        except (Failure, UnicodeEncodeError, etree.LxmlError):
            return text
    value = base64.b64encode(pair.sign.sign_xml(canonical)).decode()
    return text[:start] + info + text[end:value_start] + value + text[value_end:]


def by_bytes(text: str) -> dict[str, bytes]:
    found = {}
    for ident in re.findall(r'URI="#([\w-]+)"', text):
        one = re.search(rf'<([\w.:-]+)(?=[^>]*wsu:Id="{ident}")[^>]*>.*?</\1>', text, re.DOTALL)
        if one is not None:
            found[ident] = one.group().encode("utf-8", "replace")
    return found


def by_tree(text: str) -> dict[str, bytes]:
    try:
        root = parse_xml(text.encode())
    except (Failure, UnicodeEncodeError):
        return {}
    ids = {ident: element for element in root.iter(etree.Element) if (ident := element.get(f"{{{WSU}}}Id"))}
    try:
        return {
            ident: etree.tostring(each, method="c14n", exclusive=True, with_comments=False, with_tail=False)
            for ident, each in ids.items()
        }
    except etree.C14NError:  # a namespace that is no absolute address
        return {}


def mutated(chance: random.Random, pair: Any, now: float, version: Version) -> tuple[str, bytes]:
    """How it was made, and the envelope."""
    text = envelope(pair, now, chance, version)
    kind = chance.choice(
        ("after", "content, exactly", "content, exactly", "content", "content", "whole, exactly", "whole")
    )
    if kind == "after":
        return kind, mutate(text, chance)
    if kind.startswith("content"):
        start, end = text.index("<a:submitReadings"), text.index("</soap:Body>")
        text = text[:start] + mutate_text(text[start:end], chance) + text[end:]
    else:
        text = mutate_text(text, chance)
    return kind, signed_anew(text, pair, kind.endswith("exactly")).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def codec() -> Codec:
    """Of a contract compiled for these tests alone: what this process shares takes only so many prefixes."""
    bundle = Bundle.from_folder(next(folder for folder in catalogue_folders() if folder.parent.name == "observation"))
    return CompiledContract(load(bundle), bundle.digest).codec("canonical")


@pytest.mark.attack("two readers of one message")
@pytest.mark.parametrize("key", ["p256", "rsa_pair"])
def test_an_envelope_is_judged_alike_by_three_readers(
    key: str, codec: Codec, now: float, request: Any, record_property: Any
) -> None:
    pair = request.getfixturevalue(key)
    judges, verdicts = Judges(pair, codec, now), Counter[str]()
    for seed, chance in seeds():
        if seed % 2 != (key == "p256"):
            continue
        version = chance.choice((V11, V12))
        kind, raw = mutated(chance, pair, now, version)
        quick, general, theirs = judges.quick(raw, version), judges.general(raw, version), judges.xmlsec(raw)
        told = (
            f"LGSP_TEST_SEED={seed} ({kind}, {key}, SOAP {version.number}): {quick!r} / {general!r} / xmlsec "
            f"{theirs}\n{raw[:6_000]!r}"
        )
        refused = general[0] == REFUSED
        assert quick is None or quick == general, told
        assert quick is None or theirs, told
        assert refused or theirs, told
        verdicts[
            "quick and general"
            if quick is not None
            else "refused by both"
            if refused and not theirs
            else "refused by us"
            if refused
            else "general"
        ] += 1
        verdicts["with content" if not refused and general[4] is not None else "without content"] += 1
    record_property("verdicts", str(dict(verdicts)))
    sys.stdout.write(f"envelopes, {key}: {dict(verdicts)}\n")
    tried = sum(verdicts.values()) / 2
    assert (
        verdicts["quick and general"] > tried / 25
        and verdicts["general"] > tried / 10
        and verdicts["refused by both"] > tried / 10
    ), verdicts


# --- documents --------------------------------------------------------------------------------------------------------


def documents() -> list[tuple[str, Codec, str, str]]:
    """A document of each message that has a quick reader, from the samples of the catalogue, in each of its formats."""
    found = []
    for compiled in catalogue():
        folder = next(
            each for each in catalogue_folders() if f"{each.parent.name}/{each.name}" == compiled.contract.name
        )
        values: dict[str, list[Any]] = {}
        for path in sorted(folder.glob("samples/*/*.json")):
            if path.name.endswith(".canonical.json") or path.parent.name == "canonical":
                values.setdefault(path.name.partition(".")[0], []).append(path)
        for name, codec in compiled.formats.items():
            for message, inner in xml_messages(codec):
                for path in values.get(message, ()) if inner.fast is not None else ():
                    try:
                        value = compiled.codec("canonical").read_json(message, path.read_bytes())
                        found.append(
                            (
                                f"{compiled.contract.name} {name} {message}",
                                codec,
                                message,
                                codec.write_xml(message, value).decode(),
                            )
                        )
                    except Failure:
                        continue
    return found


@pytest.mark.attack("two readers of one message")
def test_a_document_is_read_alike_by_both_readers(record_property: Any) -> None:
    known, verdicts = documents(), Counter[str]()
    assert len({name for name, _, _, _ in known}) > 20
    for seed, chance in seeds():
        name, codec, message, text = chance.choice(known)
        raw = mutate(text, chance)
        told = f"LGSP_TEST_SEED={seed} ({name}): {raw[:4_000]!r}"
        inner = xml_of(codec, message)
        canonical = codec.read_canonical_xml(message, raw)
        try:
            root = parse_xml(raw)
        except Failure:
            assert canonical is None, told
            verdicts["no XML"] += 1
            continue
        quick = inner.fast.element(root) if inner.fast is not None else None
        general = generally(codec, message, root) if root.tag in inner.roots else None
        if root.tag in inner.roots and quick is not None and codec._validators[message].is_valid(quick):
            assert same(quick, general), f"{told}\n{quick}\n{general}"
        assert canonical is None or same(canonical, general), f"{told}\n{canonical}\n{general}"
        if canonical is not None:  # it says of the bytes that they are their own canonical form
            assert etree.tostring(root, method="c14n", exclusive=True, with_comments=False) == raw, told
        verdicts[
            "quick and general"
            if quick is not None and general is not None
            else "general"
            if general is not None
            else "refused by both"
        ] += 1
        verdicts["canonical"] += canonical is not None
    record_property("verdicts", str(dict(verdicts)))
    sys.stdout.write(f"documents: {dict(verdicts)}\n")
    assert (
        verdicts["quick and general"] > MANY / 25
        and verdicts["general"] > MANY / 10
        and verdicts["refused by both"] > MANY / 10
    ), verdicts


def same(one: Any, other: Any) -> bool:
    """The same values of the same kinds: 1, 1.0 and true are three."""
    return repr(one) == repr(other) and one == other


@pytest.mark.attack("two readers of one message")
@pytest.mark.parametrize(
    "tag",
    [
        "<soap:Envelope",
        "<soap:Header",
        "<wsse:Security ",
        "<ds:Signature ",
        "<ds:SignatureValue",
        "<ds:KeyInfo",
        "<wsse:Reference",
    ],
)
def test_a_relative_namespace_is_refused_outside_of_what_is_signed_too(
    tag: str, codec: Codec, p256: Any, now: float
) -> None:
    """What was found so: xmlsec finds no part of such a document signed, and the general reader took it."""
    judges = Judges(p256, codec, now)
    raw = envelope(p256, now, random.Random(1), V11)
    assert judges.general(raw.encode(), V11)[0] != REFUSED and judges.xmlsec(raw.encode())
    made = raw.replace(tag, f'{tag.rstrip()} xmlns:rel="relative"{" " * tag.endswith(" ")}', 1).encode()
    assert made != raw.encode() and not judges.xmlsec(made)
    assert judges.general(made, V11) == (REFUSED, "signature.malformed") and judges.quick(made, V11) is None
    assert judges.general(made.replace(b'"relative"', b'"urn:absolute"'), V11)[0] != REFUSED


@pytest.mark.attack("two readers of one message")
@pytest.mark.parametrize("white", ["\u00a0", "\u2028", "\u3000", "\x85", "&#xA0;"])
def test_only_white_space_of_xml_is_none_of_the_base64(white: str, codec: Codec, p256: Any, now: float) -> None:
    """What was found so: xmlsec refuses any other sign there."""
    judges = Judges(p256, codec, now)
    raw = envelope(p256, now, random.Random(1), V11)
    made = raw.replace("<ds:SignatureValue>", f"<ds:SignatureValue>{white}", 1).encode()
    assert not judges.xmlsec(made) and judges.general(made, V11)[0] == REFUSED and judges.quick(made, V11) is None
    plain = raw.replace("<ds:SignatureValue>", "<ds:SignatureValue>\n &#9;", 1).encode()
    assert judges.xmlsec(plain) and judges.general(plain, V11)[0] != REFUSED
