"""What the tables of all rooms share: one collection, and the kind of column that numbers rows by itself."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData

metadata: Final = MetaData()
AUTO: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER PRIMARY KEY
