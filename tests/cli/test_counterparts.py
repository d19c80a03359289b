"""Whatever the command line can do, a page and an operation of the API can too, but for what stays with the host."""

from __future__ import annotations

from gateway.cli.counterparts import COUNTERPARTS, AtHost, Counterpart, told
from gateway.console.operations import operations
from gateway.console.pages import pages
from tests.cli.test_duties import commands

# Read on a page whose acts belong to other commands.
READ_BESIDE_AN_ACT = {"console user list", "console token list", "queue bulk preview", "report list"}
IN_CONSOLE = {name: each for name, each in COUNTERPARTS.items() if isinstance(each, Counterpart)}


def test_every_command_has_its_counterpart_or_a_reason_and_none_is_made_up() -> None:
    assert set(COUNTERPARTS) == set(commands())
    assert {each for each in COUNTERPARTS.values() if isinstance(each, AtHost)} == set(AtHost)


def test_each_named_page_and_operation_is_there() -> None:
    known, paths = set(operations()), {page.path for page in pages()}
    missing = {
        name: {each.page, *each.operations} - paths - known
        for name, each in IN_CONSOLE.items()
        if not {each.page, *each.operations} <= paths | known
    }
    assert not missing


def test_a_page_that_acts_does_it_by_an_operation_of_its_command() -> None:
    """So a line cannot name a page of one thing and the operations of another."""
    posts: dict[str, set[str]] = {}
    for page in pages():
        posts.setdefault(page.path, set()).update({page.operation} - {""} if page.method == "POST" else ())
    for name, each in IN_CONSOLE.items():
        acts = posts[each.page] & set(each.operations)
        assert acts or not each.operations or not posts[each.page] or name in READ_BESIDE_AN_ACT, name


def test_only_a_page_that_says_so_is_without_an_operation() -> None:
    alone = {name: each.page for name, each in IN_CONSOLE.items() if not each.operations}
    reasons = {page.path for page in pages() if page.page_only}
    at_the_page = {"console user add", "console user link", "console token add"}
    assert {*alone} == at_the_page | {"console user enable"}, "its operation only closes an account"
    assert {alone[name] for name in at_the_page} <= reasons


def test_the_words_of_a_command() -> None:
    assert told("audit stamp") == "In the console: `/console/log/stamp`; over the API: `stampLog`."
    assert told("console token add") == "In the console: `/console/account/tokens` alone."
    assert told("restore from").startswith("Not in the console: it reads and writes the files and keys")
