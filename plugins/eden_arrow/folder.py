"""The folder of a store: its shards, the table of ids, and the parts that wait to be merged into shards.

`shards/ids.table` is the store; it names the shards `shards/NNNNN.arrow`. A sample that was written since is a part: its bases
are `shards/parts/<sample>.<digest>.arrow`, and `shards/parts/<sample>.ids`, a table of ids of that sample alone, names them. A
part stands in front of what the table says of its sample; one without any sample says that it was removed.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eden_core.atomic import clear_drafts
from eden_core.sequence_ids import check_sample

FOLDER = "shards"
TABLE = "ids.table"
_PARTS = "parts"
_PART_TABLE = ".ids"
_PART_BASES = re.compile(r"(.+)\.([0-9a-f]{32})\.arrow", re.DOTALL)
_DRAFT = re.compile(r"(\..+)\.tmp\.bases(\.rows)?", re.DOTALL)
_LOCK = re.compile(r"\.(.+)\.[^.]+\.\d+\.lock", re.DOTALL)
_SHARD = re.compile(r"\d{5,}\.arrow")
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EBADF}
"""what a file system answers that has no locks, or none of folders"""


class StoreFolder:
    """The names of files in a store's folder.

    Args:
        location: where the store lies.
    """

    def __init__(self, location: str) -> None:
        self.path = Path(location) / FOLDER
        self.table = self.path / TABLE
        self._parts = self.path / _PARTS

    def shard(self, number: int) -> Path:
        """Return where a shard lies."""
        return self.path / f"{number:05}.arrow"

    def part_table(self, sample: str) -> Path:
        """Return where the table of a part lies.

        Raises:
            InvalidSequenceIdError: the sample cannot be part of a file's name.
        """
        return self._parts / f"{check_sample(sample)}{_PART_TABLE}"

    def part_bases(self, sample: str, digest: str) -> Path:
        """Return where the bases of a part lie."""
        return self._parts / f"{sample}.{digest}.arrow"

    def draft_of_bases(self, draft: Path) -> Path:
        """Return where the bases of a part are written, beside the draft of its table."""
        return draft.with_name(f"{draft.name}.bases")

    def name_of(self, path: Path) -> str:
        """Return the name by which a table knows a file: its path from the folder on."""
        return path.relative_to(self.path).as_posix()

    def parts(self) -> list[str]:
        """Return the samples that have a part, in byte order."""
        names = (name.removesuffix(_PART_TABLE) for name in _names(self._parts) if name.endswith(_PART_TABLE))
        return sorted((name for name in names if name[0] != "."), key=os.fsencode)

    def remove_leftovers(self, shards: set[str]) -> None:
        """Remove what killed writers left: drafts, bases of parts without a table, and shards that the table does not name.

        Hold the lock.
        """
        for folder in (self.path, self._parts):
            for name in _names(folder):
                if lock := _LOCK.fullmatch(name):
                    clear_drafts(folder / lock[1])
            names = _names(folder)
            for name in names:
                bases, draft = _PART_BASES.fullmatch(name), _DRAFT.fullmatch(name)
                of_no_part = folder == self._parts and bases is not None and f"{bases[1]}{_PART_TABLE}" not in names
                of_no_writer = draft is not None and f"{draft[1]}.lock" not in names
                of_no_table = folder == self.path and _SHARD.fullmatch(name) and name not in shards
                if of_no_part or of_no_writer or of_no_table:
                    (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # there are parts still, or their writers
            self._parts.rmdir()

    def remove_if_empty(self) -> None:
        """Remove the folder where nothing lies in it."""
        with suppress(OSError):
            self._parts.rmdir()
            self.path.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock, under which parts come and go and the table is replaced.

        A file system without locks is used without: there, one process at a time may write or finish.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            yield
        finally:
            os.close(descriptor)


def _names(folder: Path) -> set[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return set(os.listdir(folder))  # noqa: PTH208 - a Path for each of 100,000 names is slow
    return set()
