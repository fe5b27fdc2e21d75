"""What is compiled is done by numpy where there is no compiler."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = [
    "tests/core/test_layout.py",
    "tests/core/test_segments.py",
    "tests/core/test_order.py",
    "tests/core/test_packing.py",
    "tests/core/test_dataset.py",
    "tests/plugins/test_reverse_complement.py",
    "tests/plugins/eden_arrow/test_index.py",
    "tests/plugins/eden_arrow/test_store.py",
]


def test_the_tests_pass_in_numpy():
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"EDEN_KERNELS": "numpy"}, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
