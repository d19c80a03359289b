"""The page of attacks holds every attack that must be shown."""

from __future__ import annotations

import re

from tests.attacks.table import PAGE

# What must be shown, in the words of the task: each is a kind, or stands in the name of a case.
LISTED = [
    "signature wrapping",
    "signature exclusion",
    "none",
    "HMAC with the public key",
    "RSA-SHA1",
    "RSA-MD5",
    "jku",
    "x5u",
    "an embedded jwk",
    "kid with a path",
    "kid with SQL",
    "(r, n - s)",
    "thin component lists",
    "digest mismatch",
    "replay",
    "test_across_a_restart",
    "expired and future",
    "DOCTYPE",
    "billion laughs",
    "XInclude",
    "XSLT",
    "file:",
    "field twice",
    "NaN",
    "deep",
    "decompression bombs",
    "PBES2",
    "RSA-1.5",
    "AES-256-CBC",
    "path traversal",
    "Client-Cert",
    "Client_Cert",
    "SSRF",
    "a certificate of another agency with a valid token",
    "revoked certificates",
    "expired",
    "an unknown path of the own APIs",
    "secrets",
    "zip",
    "audit log: rows changed",
    "without the log's key",
    "with the log's own key",
    "audit log: cut short, or rolled back",
    "audit log: forked",
    "a forged receipt",
    "a stolen message key",
    "a sequencer started twice",
    "a stale lease",
    "a pending entry changed or deleted",
    "the limit",
]


def test_everything_that_must_be_shown_is_there() -> None:
    text = PAGE.read_text("utf-8")
    assert [each for each in LISTED if each not in text] == []
    number = re.search(r"^(\d+) cases of", text, re.M)
    assert number is not None and int(number[1]) >= 80
    wrapping = text.split("## signature wrapping")[1].split("## ")[0]
    assert wrapping.count("1.1") >= 8 and wrapping.count("1.2") >= 8
