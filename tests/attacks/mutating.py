"""Mutations of XML texts: by its structure (tags, attributes, namespaces, references, nodes), and byte by byte. Each is
drawn from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import partial
from typing import Final

Mutate = Callable[[str, random.Random], str]
_TOKEN: Final = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^>]*>|[^<]+", re.DOTALL)
_START: Final = re.compile(r"<[^/!?][^>]*>")
_ATTRIBUTE: Final = re.compile(r"""\s+([^\s=<>/]+)\s*=\s*("[^"<]*"|'[^'<]*')""")
_WHITE: Final = (" ", "\n", "\t", "\r\n", "\r", "  \n  ", "\u00a0", "&#32;", "&#10;", "&#13;", "&#9;")
_TEXTS: Final = (
    "", " ", "x", "0", "1", "-1", "+1", "01", "1.0", "1e5", ".5", "NaN", "true", "&amp;", "&lt;x&gt;", "&#65;", "&#x1F600;", "&quot;", "&apos;", ">", "]]&gt;",
    "&#13;", "a\u0300", "ấ", "\u1ea5", "\ufffd", "\ufeff", "𝄞", "²", "１", "2026-11-24T00:00:00Z", "2026-02-30", "a" * 5_000, "\u200b",
)  # fmt: skip


def mutate(text: str, chance: random.Random) -> bytes:
    """One to three mutations of the text, and now and then of its bytes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        text = chance.choice(STRUCTURES)(text, chance)
    raw = _encoded(text, chance)
    if chance.random() < 0.1:
        raw = by_bytes(raw, chance)
    return raw


def mutate_text(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice((1, 1, 2))):
        text = chance.choice(STRUCTURES)(text, chance)
    return text


def by_bytes(raw: bytes, chance: random.Random) -> bytes:
    """A bit turned, a byte or a piece removed, doubled, moved, or put in from elsewhere."""
    at, other = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
    size = chance.choice((1, 1, 2, 8, 60))
    kind = chance.randrange(7)
    if kind == 0 and at < len(raw):
        return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]
    if kind == 1:
        return raw[:at] + raw[at + size :]
    if kind == 2:
        return raw[:at] + raw[at : at + size] + raw[at:]
    if kind == 3:
        return (
            raw[:at]
            + chance.choice(
                (b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"<", b">", b"&", b"\r", b'"', b"\xef\xbb\xbf", b"]]>")
            )
            + raw[at:]
        )
    if kind == 4:
        return raw[:other]
    if kind == 5:
        return raw[:at] + raw[other : other + size] + raw[at:]
    return raw + raw[at : at + size]


def _encoded(text: str, chance: random.Random) -> bytes:
    kind = chance.randrange(30)
    if kind == 0:
        return b"\xef\xbb\xbf" + text.encode("utf-8", "replace")
    if kind == 1:
        return text.encode("utf-16", "replace")
    if kind == 2:
        return b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("latin-1", "xmlcharrefreplace")
    if kind == 3:
        return b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n' + text.encode("utf-8", "replace")
    if kind == 4:
        return text.replace("\n", "\r\n").encode("utf-8", "replace")
    return text.encode("utf-8", "replace")


# --- pieces -----------------------------------------------------------------------------------------------------------


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _starts(tokens: list[str]) -> list[int]:
    return [at for at, token in enumerate(tokens) if _START.fullmatch(token) is not None]


def _texts(tokens: list[str]) -> list[int]:
    return [at for at, token in enumerate(tokens) if not token.startswith("<")]


def _end(tokens: list[str], start: int) -> int:
    """The index after the element that starts there; the number of tokens where it does not end."""
    depth = 0
    for at in range(start, len(tokens)):
        token = tokens[at]
        if token.startswith("</"):
            depth -= 1
        elif _START.fullmatch(token) is not None and not token.endswith("/>"):
            depth += 1
        if depth == 0:
            return at + 1
    return len(tokens)


def _at_one(places: Callable[[list[str]], list[int]], change: Callable[[str, random.Random], str]) -> Mutate:
    """Changes one of the tokens that `places` finds."""

    def made(text: str, chance: random.Random) -> str:
        tokens = _tokens(text)
        found = places(tokens)
        if found:
            at = chance.choice(found)
            tokens[at] = change(tokens[at], chance)
        return "".join(tokens)

    return made


_in_tag, _in_text = partial(_at_one, _starts), partial(_at_one, _texts)


def _put(tag: str, more: str) -> str:
    cut = len(tag) - (2 if tag.endswith("/>") else 1)
    return tag[:cut] + more + tag[cut:]


# --- attributes and namespaces ----------------------------------------------------------------------------------------


def _reordered(tag: str, chance: random.Random) -> str:
    found = [match.group() for match in _ATTRIBUTE.finditer(tag)]
    chance.shuffle(found)
    left = iter(found)
    return _ATTRIBUTE.sub(lambda _: next(left), tag)


def _quotes(tag: str, chance: random.Random) -> str:
    return re.sub(r'="([^"\']*)"', r"='\1'", tag, count=chance.choice((0, 1)))


def _spaced(tag: str, chance: random.Random) -> str:
    return chance.choice(
        (
            tag.replace('="', ' = "', 1),
            tag.replace(" ", "\n  ", 1),
            _put(tag, " "),
            _put(tag, "\n"),
            tag.replace(" ", "\t", 1),
        )
    )


def _declared(tag: str, chance: random.Random) -> str:
    """A namespace declared again, one that nobody uses, or one that hides another."""
    declared = re.findall(r'xmlns(?::[\w.-]+)?="[^"]*"', tag)
    more = (
        'xmlns:zz="urn:zz"', 'xmlns="urn:zz"', 'xmlns=""', 'xmlns:wsu="urn:zz"', 'xmlns:a="urn:zz"', 'xmlns:a="urn:lgsp:contract:observation:v1"',
        'xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"', 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
        'xmlns:xml="http://www.w3.org/XML/1998/namespace"', 'xmlns:a="relative"', *declared,
    )  # fmt: skip
    return _put(tag, " " + chance.choice(more))


def _undeclared(tag: str, chance: random.Random) -> str:
    """The declaration of a prefix becomes that of another one, or of none."""
    found = re.findall(r"xmlns:[\w.-]+=", tag)
    return tag.replace(chance.choice(found), chance.choice(("xmlns:b=", "xmlns=", "xmlns:wsu=")), 1) if found else tag


def _attribute(tag: str, chance: random.Random) -> str:
    more = (
        'x="1"', 'xml:lang="vi"', 'xml:space="preserve"', 'xml:id="body"', 'Id="body"', 'wsu:Id="body"', 'ID="timestamp"', 'wsu:Id="zz"',
        'xsi:nil="true"', 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"', 'soap:mustUnderstand="1"', 'x="&#10;&#13;&#9;"', 'x="a\nb"',
        'xml:base="urn:x"',
    )  # fmt: skip
    return _put(tag, " " + chance.choice(more))


def _less(tag: str, chance: random.Random) -> str:
    found = list(_ATTRIBUTE.finditer(tag))
    return tag if not found else tag.replace(chance.choice(found).group(), "", 1)


def _value(tag: str, chance: random.Random) -> str:
    found = list(_ATTRIBUTE.finditer(tag))
    if not found:
        return tag
    one = chance.choice(found)
    inner = one[2][1:-1]
    at = chance.randrange(len(inner) + 1)
    made = chance.choice(
        (
            inner[:at] + f"&#{ord(inner[at])};" + inner[at + 1 :] if at < len(inner) else inner,
            inner + " ",
            inner[:at] + "\n" + inner[at:],
            "",
        )
    )
    return tag.replace(one.group(), f' {one[1]}="{made}"', 1)


def _prefix(text: str, chance: random.Random) -> str:
    """Another prefix all over, or the namespace of the prefix as that without one."""
    found = sorted(set(re.findall(r"xmlns:([\w.-]+)=", text)))
    if not found:
        return text
    old, new = chance.choice(found), chance.choice(("q", "ns0", "xs", "A", "_", "a.b-c", "p" * 40, "ấ", "xml1"))
    if chance.random() < 0.3:
        return re.sub(rf"(</?){re.escape(old)}:", r"\1", text).replace(f"xmlns:{old}=", "xmlns=")
    return re.sub(rf"(</?|[\s]){re.escape(old)}:", rf"\g<1>{new}:", text).replace(f"xmlns:{old}=", f"xmlns:{new}=")


# --- texts ------------------------------------------------------------------------------------------------------------


def _split(text: str, chance: random.Random) -> tuple[str, str]:
    at = chance.randrange(len(text) + 1)
    return text[:at], text[at:]


def _comment(text: str, chance: random.Random) -> str:
    return chance.choice(("<!---->", "<!-- x -->", "<!-- <a/> -->", "<!-- ]]> -->")).join(_split(text, chance))


def _instruction(text: str, chance: random.Random) -> str:
    return chance.choice(("<?x?>", "<?xml-stylesheet href='x'?>", "<?php echo 1; ?>")).join(_split(text, chance))


def _cdata(text: str, chance: random.Random) -> str:
    before, after = _split(text, chance)
    return chance.choice(
        (
            f"<![CDATA[{text}]]>",
            f"{before}<![CDATA[{after}]]>",
            f"{before}<![CDATA[]]>{after}",
            f"{before}<![CDATA[&amp;<x/>]]>{after}",
        )
    )


def _reference(text: str, chance: random.Random) -> str:
    before, after = _split(text, chance)
    if not after:
        return text
    code = ord(after[0])
    return (
        before
        + chance.choice(
            (
                f"&#{code};",
                f"&#x{code:x};",
                f"&#x{code:X};",
                f"&#00{code};",
                "&e;",
                "&#0;",
                "&#xFFFE;",
                "&gt;",
                "&quot;",
            )
        )
        + after[1:]
    )


def _whitened(text: str, chance: random.Random) -> str:
    return chance.choice(_WHITE).join(_split(text, chance))


def _replaced(text: str, chance: random.Random) -> str:
    new = chance.choice(_TEXTS)
    return new if chance.random() < 0.6 else new.join(_split(text, chance))


# --- nodes ------------------------------------------------------------------------------------------------------------


def _moved(text: str, chance: random.Random) -> str:
    """A node removed, doubled, moved, or exchanged with another."""
    tokens = _tokens(text)
    starts = _starts(tokens)[1:]
    if len(starts) < 2:
        return text
    at = chance.choice(starts)
    end = _end(tokens, at)
    node, kind = tokens[at:end], chance.randrange(4)
    if kind == 0:
        del tokens[at:end]
    elif kind == 1:
        tokens[end:end] = node
    else:
        other = chance.choice(starts)
        if at <= other < end:
            return text
        if kind == 2:
            tokens[other:other] = node
        else:
            del tokens[at:end]
            tokens[min(other, len(tokens)) : min(other, len(tokens))] = node
    return "".join(tokens)


def _between(text: str, chance: random.Random) -> str:
    """Something between two tags."""
    tokens = _tokens(text)
    at = chance.randrange(len(tokens) + 1)
    tokens.insert(
        at,
        chance.choice(
            (
                *_WHITE,
                "<!-- x -->",
                "<?x?>",
                "<x/>",
                "<![CDATA[]]>",
                "<![CDATA[ ]]>",
                "&e;",
                "x",
                '<zz:x xmlns:zz="urn:zz"/>',
            )
        ),
    )
    return "".join(tokens)


def _emptied(text: str, chance: random.Random) -> str:
    found = list(re.finditer(r"<([^\s/>!?]+)([^>]*)></\1>", text))
    if found:
        one = chance.choice(found)
        return text[: one.start()] + f"<{one[1]}{one[2]}/>" + text[one.end() :]
    return re.sub(r"<([^\s/>!?]+)([^>]*)/>", r"<\1\2></\1>", text, count=1)


def _document(text: str, chance: random.Random) -> str:
    more = (
        "<!DOCTYPE x>", '<!DOCTYPE x [<!ENTITY e "v">]>', '<!DOCTYPE x [<!ATTLIST a:id x CDATA "1">]>', '<?xml version="1.0"?>', '<?xml version="1.1"?>',
        "<!-- x -->", " ", "\n", "<?x?>",
    )  # fmt: skip
    one = chance.choice(more)
    return one + text if chance.random() < 0.7 else text + one


def _end_tag(text: str, chance: random.Random) -> str:
    found = list(re.finditer(r"</[^>]+>", text))
    if not found:
        return text
    one = chance.choice(found)
    return text[: one.start()] + one.group()[:-1] + chance.choice((" ", "\n", "\t")) + ">" + text[one.end() :]


STRUCTURES: Final[tuple[Mutate, ...]] = (
    *(_in_tag(each) for each in (_reordered, _quotes, _spaced, _declared, _declared, _undeclared, _attribute, _attribute, _less, _value)),
    *(_in_text(each) for each in (_comment, _instruction, _cdata, _reference, _reference, _whitened, _replaced, _replaced, _replaced)),
    _prefix, _moved, _moved, _between, _between, _emptied, _document, _end_tag,
)  # fmt: skip
