"""Temporary folders on the disk of the data, gone with the run that made them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(beside: Path, purpose: str) -> Iterator[Path]:
    """Yield a new folder `<beside>/.<purpose>.<random>.tmp`, removed when the block ends, as are those of killed runs.

    Where `beside` cannot be written, the folder lies where `TMPDIR` says.
    """
    parent = beside if os.access(beside, os.W_OK) else Path(tempfile.gettempdir())
    for left in parent.glob(f".{purpose}.*.tmp"):
        _remove_unless_in_use(left)
    folder = Path(tempfile.mkdtemp(prefix=f".{purpose}.", suffix=".tmp", dir=parent))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_unless_in_use(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # another run was faster
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
