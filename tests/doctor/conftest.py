import importlib.util
import sys
from pathlib import Path

NAME = "lgsp_test_databases"
if NAME not in sys.modules:
    spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "journal" / "databases.py")
    assert spec is not None and spec.loader is not None
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[NAME])

database = sys.modules[NAME].database
sqlite = sys.modules[NAME].sqlite
