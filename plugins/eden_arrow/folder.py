"""The folder of a store: its shards, the table of ids, and the parts that wait to be merged into shards.

`shards/ids.table` is the store; it names the shards `shards/NNNNN.arrow`. A sample that was written since is a part: its bases
are `shards/<sample>.<digest>.arrow.part`, and `shards/<sample>.ids.part`, a table of ids of that sample alone, names them. A
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
_PART_TABLE = ".ids.part"
_PART_BASES = re.compile(r"(.+)\.([0-9a-f]{32})\.arrow\.part", re.DOTALL)
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

    def shard(self, number: int) -> Path:
        """Return where a shard lies."""
        return self.path / f"{number:05}.arrow"

    def part_table(self, sample: str) -> Path:
        """Return where the table of a part lies.

        Raises:
            InvalidSequenceIdError: the sample cannot be part of a file's name.
        """
        return self.path / f"{check_sample(sample)}{_PART_TABLE}"

    def part_bases(self, sample: str, digest: str) -> Path:
        """Return where the bases of a part lie."""
        return self.path / f"{sample}.{digest}.arrow.part"

    def draft_of_bases(self, draft: Path) -> Path:
        """Return where the bases of a part are written, beside the draft of its table."""
        return draft.with_name(f"{draft.name}.bases")

    def parts(self) -> list[str]:
        """Return the samples that have a part, in byte order."""
        names = (name.removesuffix(_PART_TABLE) for name in self._names() if name.endswith(_PART_TABLE) and name[0] != ".")
        return sorted(names, key=os.fsencode)

    def remove_bases(self, sample: str, but: str | None) -> None:
        """Remove the bases of parts of a sample, except those with the digest `but`."""
        for name in self._names():
            match = _PART_BASES.fullmatch(name)
            if match is not None and match[1] == sample and match[2] != but:
                (self.path / name).unlink(missing_ok=True)

    def remove_leftovers(self, shards: set[str]) -> None:
        """Remove what killed writers left: drafts, bases of parts without a table, and shards that the table does not name.

        Hold the lock.
        """
        for name in self._names():
            if lock := _LOCK.fullmatch(name):
                clear_drafts(self.path / lock[1])
        names = self._names()
        for name in names:
            bases, draft = _PART_BASES.fullmatch(name), _DRAFT.fullmatch(name)
            of_no_part = bases is not None and f"{bases[1]}{_PART_TABLE}" not in names
            of_no_writer = draft is not None and f"{draft[1]}.lock" not in names
            if of_no_part or of_no_writer or (_SHARD.fullmatch(name) and name not in shards):
                (self.path / name).unlink(missing_ok=True)

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

    def _names(self) -> set[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return set(os.listdir(self.path))  # noqa: PTH208 - a Path for each of 100,000 names is slow
        return set()
