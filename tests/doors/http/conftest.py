from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doors.http.town import Town, town


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Bodies over 200,000 bytes are spooled."""
    with town(tmp_path_factory.mktemp("large"), body_limit=200_000, agency_processor=20.0) as made:
        yield made
