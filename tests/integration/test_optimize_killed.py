"""`eden optimize` is killed at some moment, and goes on when it is started again."""

import os
import signal
import subprocess
import sys
import time

from data_folders import bases_of, shard
from plain import write_seed_shard

from eden_core.cli import main
from eden_sqlite.optimizing import is_fast

SAMPLES = [f"S{i}" for i in range(24)]


def test_the_same_command_goes_on(tmp_path):
    finished = 5
    for sample in SAMPLES:
        write_seed_shard(tmp_path, sample, {f"B__X-{sample}__c{i}": "ACGTN" * 8_000 for i in range(10)})
    before = bases_of(tmp_path)
    command = [sys.executable, "-c", f"from {main.__module__} import main; main()", "optimize", str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    while sum(is_fast(shard(tmp_path, sample)) for sample in SAMPLES) < finished:
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert bases_of(tmp_path) == before
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = dict(line.rsplit(None, 1) for line in done.stdout.splitlines()[1:4])
    assert int(told["  shards rewritten"]) + int(told["  fast already"]) == len(SAMPLES)
    assert int(told["  fast already"]) >= finished
    assert bases_of(tmp_path) == before
    assert all(is_fast(shard(tmp_path, sample)) for sample in SAMPLES)
    assert {path.name for path in tmp_path.glob("*/*")} == {f"glm_dataset_{sample}.sqlite" for sample in SAMPLES}
