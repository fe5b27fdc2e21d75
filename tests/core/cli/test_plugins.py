import os
import subprocess
import sys
from pathlib import Path


def listing(**environment) -> str:
    command = [Path(sys.executable).with_name("eden"), "plugins"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment).stdout


def test_it_lists_kind_name_distribution_version_and_options():
    lines = {tuple(line.split()[:4]): line for line in listing().splitlines()}
    assert "probability=0.5" in lines["transform", "reverse-complement", "eden-core", "0.1.0"]
    assert "max_open_files=128" in lines["store", "sqlite-shards", "eden-core", "0.1.0"]
    assert ("observer", "access-log", "eden-core", "0.1.0") in lines


def test_it_says_what_was_left_out_and_why():
    assert "eden-core 0.1.0 (eden_sqlite): left out by EDEN_DISABLED_PLUGINS" in listing(EDEN_DISABLED_PLUGINS="Eden_Core")


def test_it_ends_with_the_version_of_the_interface():
    assert listing().endswith("\nthe plugin interface has version 1\n")
