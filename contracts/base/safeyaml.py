"""The loader of YAML that is safe and quick: libyaml's where PyYAML has it (ten times as fast; brackets in brackets are refused at once), else Python's own."""

from __future__ import annotations

from typing import Any, Final

import yaml

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
