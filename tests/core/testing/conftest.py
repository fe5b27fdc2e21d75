"""Puts this folder on the path, so that a spawned process can import what the tests define here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
