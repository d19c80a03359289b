"""Another name of an element: read as the declared one, refused out of form."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from contracts.mapping.also import read_other_names

XML = "<a xmlns='urn:a'><b><%s>1</%s></b></a>"
ODD: list[Any] = [[], "x", {"a:b/@c": "a:d"}, {"a:b[]": "a:d"}, {"a:b": "a:c/a:d"}, {"a:b": 3}, {"x:b": "a:d"}]


class Context:
    media = "xml"
    namespaces = {"a": "urn:a"}

    def __init__(self) -> None:
        self.found: list[Any] = []

    def bad(self, *of: Any) -> None:
        self.found.append(of)


def test_it_is_read_as_the_declared_one_alone_where_that_is_missing() -> None:
    context: Any = Context()
    (name,) = read_other_names(context, {"a:b/a:other": "a:known"}, ())
    root = etree.fromstring(XML % ("other", "other"))
    assert name.read(root)[0][0].tag == "{urn:a}known" and root[0][0].tag == "{urn:a}other"
    known = etree.fromstring(XML % ("known", "known"))
    assert name.read(known) is known and name.read(etree.fromstring("<x/>")).tag == "x"
    assert not context.found


@pytest.mark.parametrize("also", ODD)
def test_out_of_form(also: Any) -> None:
    context: Any = Context()
    assert read_other_names(context, also, ()) == () and context.found
