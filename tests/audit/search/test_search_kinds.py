"""Each kind of entry has words in both languages."""

from __future__ import annotations

from gateway.audit.search.fields import KINDS
from gateway.audit.search.steps import kind_words, kinds


def test_each_kind_has_words() -> None:
    assert set(kinds) >= KINDS
    for kind in KINDS:
        words = kind_words(kind)
        assert words.vi and words.en and words.vi != kind, kind
    assert kind_words("of-a-later-version").vi == "of-a-later-version"
