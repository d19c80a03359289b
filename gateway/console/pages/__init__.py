"""The pages of the console: each module here has `PAGES`, and its templates have its name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gateway.console.site.page import Page


@cache
def pages() -> tuple[Page, ...]:
    """All pages, in the order of their modules' names."""
    names = sorted(each.name for each in iter_modules(__path__))
    return tuple(page for name in names for page in import_module(f"{__name__}.{name}").PAGES)
