"""Names the `LGSP_…` variables that are no settings of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOT_SETTINGS: Final[Mapping[str, str]] = {
    "LGSP_AS": "the person who acts, where `--as` does not name one",
    "LGSP_DATA": "the data folder, where `--data` does not name one",
    "LGSP_KEY": "the file of that person's private key, where `--key` does not name one",
    "LGSP_LANG": "language of the command line: `vi` or `en`",
    "LGSP_PROGRESS": "`lines`: with `--json` long commands tell their progress on standard error, one object a line",
    "LGSP_PYTHON": "the Python that `./lgsp` makes its environment with",
    "LGSP_VENV": "where `./lgsp` keeps its environment",
    "LGSP_TEST_SIZE": "`full`: the slow tests try ten times as much",
    "LGSP_TEST_ORDER": "a number: the order in which files of tests run",
    "LGSP_TEST_DRAWS": "`fixed`: laws are tried with the same values in each run, as `.ci/run` does",
    "LGSP_TEST_SEED": "a number: what the comparison of readers draws its messages from",
}
