"""Compares the schema of a database with the one that this program's migrations create.

Theory of operation:
1. `described` reads from the database's catalogue all that decides what a statement does: one line of text per object,
   in one query.
2. `schema.json` beside this module holds the same lines for a database that was only migrated. A test of the project
   creates it again and compares. So a check needs neither Alembic nor a second database, and takes milliseconds.
3. Any object that is not expected is a finding: a trigger, a view, a rule, a row policy, a function, another table. So
   is any object that is missing or reads differently.

Two releases may run on one schema. So additions of a newer release (`alembic_version` names a revision unknown to this
program) are no finding, except objects that act by themselves; nor is what it dropped of `LEAVING`.

Limits: other schemas of a PostgreSQL database and members of its extensions are not looked at. A superuser of
PostgreSQL can replace the server itself; checkpoints held by others protect against that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError

from contracts.base.errors import Ours
from gateway.journal.database import revision
from gateway.journal.errors import JOURNAL_SCHEMA_ALTERED

FILE: Final = "schema.json"
NAMED: Final = 5  # differences that a failure names
_SPACES: Final = re.compile(r"\s+")
_AROUND: Final = re.compile(r" ?([(),]) ?")
_STATISTICS: Final = frozenset({"table sqlite_stat1", "table sqlite_stat4", "table sqlite_sequence"})  # SQLite's own
_NEVER_OURS: Final = (
    "trigger",
    "event trigger",
    "view",
    "rule",
    "policy",
    "function",
    "operator",
    "type",
    "inheritance",
    "path to",
)
_ORDER: Final = (*_NEVER_OURS, "table", "relation", "sequence", "index", "constraint", "column")
# What this release neither reads nor writes any more ("column transfer.receipt"): the next one may drop it.
LEAVING: Final[frozenset[str]] = frozenset()
How = Literal["added", "missing", "altered"]


@dataclass(frozen=True, slots=True)
class Difference:
    """An object of the catalogue that differs from the program's; `now` is how it reads, empty if it is missing."""

    what: str  # kind and name: "trigger vanish", "column transfer.state"
    how: How
    now: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.how}"


def check(engine: Engine) -> None:
    """Raises `journal.schema-altered` for a database whose schema is not this program's."""
    with engine.connect() as connection:
        check_on(connection)


def check_on(connection: Connection) -> None:
    """Does the same within the caller's transaction."""
    differing = differences(connection)
    if differing:
        raise altered(differing)


def altered(differing: Sequence[Difference]) -> Ours:
    """The failure that names the differences."""
    more = f", … (+{len(differing) - NAMED})" if len(differing) > NAMED else ""
    return JOURNAL_SCHEMA_ALTERED(objects=", ".join(map(str, differing[:NAMED])) + more, count=len(differing))


def differences(connection: Connection) -> list[Difference]:
    """All differences: objects that act by themselves first, then tables, then their parts."""
    try:
        present = described(connection)
    except DatabaseError as trouble:
        # SQLite reads its whole schema before the first statement, and refuses an invalid one.
        if connection.dialect.name == "sqlite" and "malformed database schema" in str(trouble):
            return [Difference("schema", "altered", str(trouble.orig))]
        raise
    expected_lines = expected(connection.dialect.name)
    differing = [
        *(
            Difference(what, "altered" if what in expected_lines else "added", now)
            for what, now in present.items()
            if expected_lines.get(what) != now
        ),
        *(Difference(what, "missing") for what in expected_lines if what not in present),
    ]
    if differing and _is_newer(connection):
        tables = (
            () if connection.dialect.name == "sqlite" else ("table ",)
        )  # SQLite's text of a table has its columns in it
        never = tuple(f"{kind} " for kind in _NEVER_OURS)
        differing = [
            each
            for each in differing
            if each.how == "missing"
            and each.what not in LEAVING
            or each.what.startswith(never)
            or each.how == "altered"
            and each.what.startswith(tables)
        ]
    return sorted(differing, key=_gravity)


def expected(dialect: str) -> Mapping[str, str]:
    """Object -> how it reads in a database that was only migrated; `dialect` is SQLAlchemy's name of it."""
    return _program()[dialect]


@cache
def _program() -> Mapping[str, Mapping[str, str]]:
    program: dict[str, dict[str, str]] = json.loads((resources.files("gateway.journal.schema") / FILE).read_bytes())
    return program


def described(connection: Connection) -> dict[str, str]:
    """Object -> how it reads now."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
        lines = {f"{kind} {name}": f"{table}: {_plain(sql)}" for kind, name, table, sql in rows}
        return {what: now for what, now in lines.items() if what not in _STATISTICS}
    schema = str(connection.scalar(text("SELECT current_schema()")))
    here = f" {schema}."
    return {
        what.replace(here, " "): _plain(str(now).replace(here, " "))
        for what, now in connection.execute(text(_POSTGRESQL))
    }


def _gravity(one: Difference) -> tuple[int, str]:
    return next((at for at, kind in enumerate(_ORDER) if one.what.startswith(f"{kind} ")), len(_ORDER)), one.what


def _plain(sql: str | None) -> str:
    return "made by its table" if sql is None else _AROUND.sub(r"\1", _SPACES.sub(" ", sql)).strip()


def _is_newer(connection: Connection) -> bool:
    """Whether a newer release migrated the database; revisions are numbers with leading zeros."""
    return (revision(connection) or "") > _program()["revision"]["alembic"]


_NOT_OF_AN_EXTENSION: Final = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{0}'::regclass AND d.objid = o.oid AND d.deptype = 'e')"
)
_HERE: Final = "current_schema()::regnamespace"
_POSTGRESQL: Final = f"""
SELECT CASE o.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence'
    ELSE 'relation' END || ' ' || o.relname,
  concat_ws(' ', o.relkind, o.relpersistence, CASE WHEN o.relrowsecurity THEN 'row security' END,
    CASE WHEN o.relforcerowsecurity THEN 'forced' END, CASE WHEN o.relispartition THEN 'partition' END,
    (SELECT concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcycle)
      FROM pg_sequence WHERE seqrelid = o.oid))
  FROM pg_class o
  WHERE o.relnamespace = {_HERE} AND o.relkind NOT IN ('i', 'I', 't') AND {_NOT_OF_AN_EXTENSION.format("pg_class")}
UNION ALL SELECT 'column ' || o.relname || '.' || a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
    nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
    (SELECT collname FROM pg_collation WHERE oid = a.attcollation AND collname <> 'default'),
    'default ' || pg_get_expr(e.adbin, e.adrelid))
  FROM pg_class o JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef e ON e.adrelid = o.oid AND e.adnum = a.attnum
  WHERE o.relnamespace = {_HERE} AND o.relkind IN ('r', 'p', 'f') AND {_NOT_OF_AN_EXTENSION.format("pg_class")}
UNION ALL SELECT 'constraint ' || c.conrelid::regclass || '.' || c.conname, pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_class o ON o.oid = c.conrelid
  WHERE o.relnamespace = {_HERE} AND c.contype <> 'n' AND {_NOT_OF_AN_EXTENSION.format("pg_class")}
UNION ALL SELECT 'index ' || n.relname, concat_ws(' ', pg_get_indexdef(i.indexrelid),
    CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'invalid' END)
  FROM pg_index i JOIN pg_class o ON o.oid = i.indrelid JOIN pg_class n ON n.oid = i.indexrelid
  WHERE o.relnamespace = {_HERE} AND o.relkind IN ('r', 'p', 'm') AND {_NOT_OF_AN_EXTENSION.format("pg_class")}
UNION ALL SELECT 'trigger ' || o.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class o ON o.oid = t.tgrelid WHERE o.relnamespace = {_HERE}
UNION ALL SELECT 'rule ' || o.relname || '.' || r.rulename, pg_get_ruledef(r.oid)
  FROM pg_rewrite r JOIN pg_class o ON o.oid = r.ev_class
  WHERE o.relnamespace = {_HERE} AND NOT (o.relkind IN ('v', 'm') AND r.rulename = '_RETURN')
UNION ALL SELECT 'policy ' || o.relname || '.' || p.polname,
  concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid))
  FROM pg_policy p JOIN pg_class o ON o.oid = p.polrelid WHERE o.relnamespace = {_HERE}
UNION ALL SELECT 'inheritance ' || i.inhrelid::regclass || ' of ' || i.inhparent::regclass, ''
  FROM pg_inherits i JOIN pg_class o ON o.oid IN (i.inhrelid, i.inhparent)
  WHERE o.relnamespace = {_HERE} AND o.relkind NOT IN ('i', 'I')
UNION ALL SELECT 'function ' || o.oid::regprocedure, ''
  FROM pg_proc o WHERE o.pronamespace = {_HERE} AND {_NOT_OF_AN_EXTENSION.format("pg_proc")}
UNION ALL SELECT 'operator ' || o.oid::regoperator, ''
  FROM pg_operator o WHERE o.oprnamespace = {_HERE} AND {_NOT_OF_AN_EXTENSION.format("pg_operator")}
UNION ALL SELECT 'type ' || o.typname, ''
  FROM pg_type o
  WHERE o.typnamespace = {_HERE} AND o.typrelid = 0 AND o.typelem = 0 AND {_NOT_OF_AN_EXTENSION.format("pg_type")}
UNION ALL SELECT 'event trigger ' || evtname, evtevent FROM pg_event_trigger
UNION ALL SELECT 'path to ' || o.relname, to_regclass(quote_ident(o.relname))::text
  FROM pg_class o
  WHERE o.relnamespace = {_HERE} AND o.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND to_regclass(quote_ident(o.relname)) IS DISTINCT FROM o.oid
"""
