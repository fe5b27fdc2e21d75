"""Reads that the file system fails or holds up, by a library that stands between the process and its pread calls."""

import errno
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from eden_core import extract_sample_id
from eden_sqlite.store import SqliteShards

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads of files whose path holds $BAD_PATH, from $BAD_OFFSET on: as many as $BAD_READS fail with $BAD_ERRNO, or sleep. */
static int left = -1;

static int is_bad(int fd, long long at) {
    char link[64], path[4096];
    const char *wanted = getenv("BAD_PATH");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0 || wanted == NULL || at < atoll(getenv("BAD_OFFSET"))) return 0;
    path[n] = 0;
    if (strstr(path, wanted) == NULL) return 0;
    if (left < 0) left = atoi(getenv("BAD_READS"));
    if (left == 0) return 0;
    left--;
    if (getenv("BAD_SECONDS")) { usleep((useconds_t)(1e6 * atof(getenv("BAD_SECONDS")))); return 0; }
    errno = atoi(getenv("BAD_ERRNO"));
    return 1;
}

#define SHIMMED(name, offset)                                                                   \
    ssize_t name(int fd, void *to, size_t n, offset at) {                                       \
        static ssize_t (*real)(int, void *, size_t, offset);                                    \
        if (!real) real = (ssize_t (*)(int, void *, size_t, offset))dlsym(RTLD_NEXT, #name);    \
        return is_bad(fd, (long long)at) ? -1 : real(fd, to, n, at);                                           \
    }
SHIMMED(pread, off_t)
SHIMMED(pread64, off64_t)
"""

READING = """
import logging, sys
logging.basicConfig(format="%(message)s", stream=sys.stderr)
from eden_core import EdenDataset, EdenLoader

if __name__ == "__main__":
    dataset = EdenDataset(
        sequence_db_dir={directory!r}, window_db_path={windows!r}, seq_length=64, on_read_error={mode!r},
        read_warning_seconds=0.4,
    )
    loader = EdenLoader(dataset, num_workers={workers}, micro_batch_size=4)
    print(sum(float(batch["loss_mask"].sum()) for batch in loader))
    loader.close()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "shim.so", folder / "shim.c", "-ldl"], check=True)
    return folder / "shim.so"


@pytest.fixture(scope="module")
def ours(small, tmp_path_factory):
    """The same sequences in shards of our own, which are not read through a memory map."""
    store = SqliteShards(str(tmp_path_factory.mktemp("ours")))
    for sample in ("S0", "S1", "S2"):
        store.write_shard(sample, [(n, b.encode()) for n, b in small.sequences.items() if extract_sample_id(n) == sample])
    return replace(small, directory=Path(store.location))


def read(small, tmp_path, shim=None, mode="raise", workers=0, offset=0, **bad):
    script = tmp_path / "read.py"
    script.write_text(
        textwrap.dedent(READING).format(directory=str(small.directory), windows=str(small.windows), mode=mode, workers=workers)
    )
    environment = dict(os.environ)
    if shim is not None:
        bad |= {"offset": offset}
        environment |= {"LD_PRELOAD": str(shim), **{f"BAD_{name.upper()}": str(value) for name, value in bad.items()}}
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def right(small, tmp_path_factory) -> str:
    return read(small, tmp_path_factory.mktemp("right")).stdout


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_reads_that_fail_for_a_while_are_tried_again(ours, tmp_path, shim, right, number):
    done = read(ours, tmp_path, shim, path="S1.sqlite", offset=1, reads=2, errno=number)
    assert done.stdout == right, done.stderr
    assert done.stderr.count("trying again in") == 2
    assert os.strerror(number) in done.stderr
    assert "glm_dataset_S1.sqlite" in done.stderr


def test_a_file_that_cannot_be_opened_for_a_while_is_tried_again(ours, tmp_path, shim, right):
    done = read(ours, tmp_path, shim, path="S1.sqlite", reads=2, errno=errno.EIO)
    assert done.stdout == right, done.stderr
    assert "glm_dataset_S1.sqlite" in done.stderr


def test_look_ups_that_fail_for_a_while_are_tried_again(small, tmp_path, shim, right):
    text = READING.replace("loader = ", "import os; os.environ['BAD_PATH'] = 'train_windows.db'; loader = ")
    script = tmp_path / "read.py"
    script.write_text(text.format(directory=str(small.directory), windows=str(small.windows), mode="raise", workers=0))
    environment = os.environ | {"LD_PRELOAD": str(shim), "BAD_READS": "2", "BAD_ERRNO": str(errno.EIO), "BAD_OFFSET": "0"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout == right, done.stderr


def test_another_failure_is_raised_with_its_cause_and_the_shard(ours, tmp_path, shim):
    done = read(ours, tmp_path, shim, path="S1.sqlite", offset=1, reads=10**6, errno=errno.EPERM)
    assert done.returncode
    assert "Operation not permitted" in done.stderr
    assert "glm_dataset_S1.sqlite" in done.stderr


def test_masked_the_run_goes_on_and_counts(ours, tmp_path, shim, right):
    done = read(ours, tmp_path, shim, mode="mask", path="S1.sqlite", offset=1, reads=10**6, errno=errno.EPERM)
    assert 0 < float(done.stdout) < float(right)
    assert "of the last 80 rows could not be read and were masked" in done.stderr


def test_a_read_that_hangs_in_a_worker_is_warned_about_with_rank_worker_and_shard(ours, tmp_path, shim, right):
    started = time.monotonic()
    done = read(ours, tmp_path, shim, workers=1, path="S1.sqlite", reads=1, seconds=1.5)
    assert time.monotonic() - started > 1.5
    assert done.stdout == right
    (line,) = [line for line in done.stderr.splitlines() if "takes more than" in line]
    assert line.startswith("rank 0, worker 0: reading ")
    assert line.endswith("glm_dataset_S1.sqlite takes more than 0.4 s")


def test_on_a_network_file_system_shards_are_not_mapped(small, tmp_path, shim, right):
    """There a page that cannot be read must be an error, not a SIGBUS: so reads reach the shim in the seed's format too."""
    text = f"import ctypes\nfrom eden_sqlite import connections\nconnections.is_on_network = lambda file: True\n{READING}"
    (tmp_path / "read.py").write_text(
        text.format(directory=str(small.directory), windows=str(small.windows), mode="raise", workers=0)
    )
    bad = {"BAD_PATH": "S1.sqlite", "BAD_OFFSET": "1", "BAD_READS": "1", "BAD_ERRNO": str(errno.ESTALE)}
    environment = os.environ | {"LD_PRELOAD": str(shim)} | bad
    done = subprocess.run([sys.executable, tmp_path / "read.py"], env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout == right, done.stderr
    assert "Stale file handle" in done.stderr
