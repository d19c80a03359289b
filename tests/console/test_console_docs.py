"""The guide of the console names every role and permission as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.console.roles import ROLES, May, Role

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "console.md").read_text("utf-8")


def test_the_tables_of_roles_and_permissions_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*) \|$", GUIDE, re.M))
    assert rows.keys() == {*Role, *May} and len({*Role, *May}) == len(Role) + len(May)
    for role, may in ROLES.items():
        assert set(rows[role].split(", ")) == set(may), role
