import subprocess
import sys

from data_folders import shard
from plain import write_seed_shard

COMMAND = [sys.executable, "-c", "from eden_core.cli import main; main()", "optimize"]


def test_the_summary_and_what_failed(tmp_path):
    for sample in ("S1", "S2"):
        write_seed_shard(tmp_path, sample, {f"B__X-{sample}__c": "ACGT"})
    shard(tmp_path, "S2").write_bytes(b"")
    done = subprocess.run([*COMMAND, tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert [line.split()[-1] for line in done.stdout.splitlines()[:4]] == [str(tmp_path), "1", "0", "1"]
    assert done.stderr.startswith("error: 1 shard is as before")
    assert f"\n  S2: {shard(tmp_path, 'S2')} is empty" in done.stderr
