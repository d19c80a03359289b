"""The metadata object that all tables share, and the column type of ids that the database numbers."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData, text

metadata: Final = MetaData()
AUTO: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only for INTEGER PRIMARY KEY
# Of the few entries that are no transfer's. A database takes their index for a query that has this condition literally.
NOTES: Final = text("phase NOT IN ('intent', 'outcome', 'refusal')")
READINGS: Final = text("kind = -480512881")  # of the search index: the digest of `feed-read`; literally, as above
