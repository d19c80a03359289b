"""The titles of the sandbox's pages are in the catalogue of the console's words."""

from __future__ import annotations

import gettext

from gateway.cli.common.language import LOCALE
from gateway.console.pages import pages
from gateway.console.site.render import DOMAIN
from gateway.sandbox.vendors.pages import PAGES


def test_every_title_is_there_in_vietnamese() -> None:
    known = gettext.translation(DOMAIN, LOCALE, ["vi"])
    titles = {each.title for each in (*pages(), *PAGES) if each.title}
    assert len(titles) > 20 and sorted(each for each in titles if known.gettext(each) == each) == []
