"""Which files a store's location stands for, and where what is worked out from them is kept."""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from eden_core.errors import ConfigurationError, InputError, ShardNotFoundError
from eden_core.sequence_ids import clean_name
from eden_core.sidecars import cache_folder

LISTS = (".txt", ".list", ".fofn")
"""how the name of a list of files ends: one path a line, those that are relative from the list's folder on"""

TABLE_SUFFIX = ".eden-ids"


class Stamp(NamedTuple):
    """What tells that a file is the one that was indexed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, file: str | int) -> "Stamp":
        """Return that of a file, given its path or the descriptor of an open one."""
        found = os.stat(file)  # noqa: PTH116 - a Path has no descriptor
        return cls(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class SourceFile:
    """One of a store's files.

    Attributes:
        name: its path from the location's folder on.
        sample: what it is called as a shard: that name, without its ending, as a sample.
        stamp: of the file as it was found, or as it was indexed.
    """

    name: str
    sample: str
    stamp: Stamp


class Kept:
    """Where files are kept that are worked out from others: beside these, or in a cache folder where that cannot be written.

    Args:
        cache_dir: the cache folder; None: that of `eden_core.sidecars`.
    """

    def __init__(self, cache_dir: str | None) -> None:
        self._cache_dir = cache_dir

    def places(self, path: str) -> list[Path]:
        """Return where such a file may be found, `path` being where it belongs."""
        absolute = os.path.abspath(path)  # noqa: PTH100 - resolves no links
        digest = blake2b(os.fsencode(absolute), digest_size=8).hexdigest()
        cache = cache_folder() if self._cache_dir is None else Path(self._cache_dir)
        return [Path(path), cache / f"{digest}-{Path(path).name}"]

    def target(self, path: str) -> Path:
        """Return where to write such a file; its folder is made where it is missing.

        Raises:
            ConfigurationError: it can be written nowhere.
        """
        here, cached = self.places(path)
        if here.parent.is_dir() and os.access(here.parent, os.W_OK):
            return here
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{here} cannot be written, and neither can the cache folder {cached.parent} ({error.strerror}): name "
                "another one with EDEN_CACHE_DIR, or store_options={'cache_dir': …}"
            ) from error
        return cached

    def newer(self, path: str, than: Stamp) -> Path | None:
        """Return the file that is kept, unless it is older than what it was made from."""
        for place in self.places(path):
            try:
                if place.stat().st_mtime_ns >= than.mtime_ns:
                    return place
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None


class Location:
    """A file, a directory (searched at any depth), a list of files (`LISTS`), or a glob pattern.

    Args:
        text: what the user wrote.
        names: what the names of such files look like; its match begins where the ending does.
        store: name of the store.
    """

    def __init__(self, text: str, names: re.Pattern[str], store: str) -> None:
        self.text, self._names, self._store = text, names, store
        path = Path(text)
        self._is_list = path.suffix.lower() in LISTS and not path.is_dir()
        self._is_pattern = glob.has_magic(text) and not path.exists()
        if self._is_pattern:
            parts = path.parts
            magic = next(i for i, part in enumerate(parts) if glob.has_magic(part))
            self.folder = str(Path(*parts[:magic]))
        else:
            self.folder = text if path.is_dir() else str(path.parent)

    @property
    def is_file(self) -> bool:
        """Whether it is one file of sequences."""
        return not (self._is_list or self._is_pattern or self.folder == self.text)

    @property
    def table(self) -> str:
        """Where the table of ids belongs; of a pattern, a place that is none, so that it comes to lie in the cache."""
        name = f"{self._store}{TABLE_SUFFIX}"
        return f"{self.text}{TABLE_SUFFIX}" if self.is_file or self._is_list else str(Path(self.text) / name)

    def path(self, name: str) -> str:
        """Return where a file lies."""
        return os.path.normpath(Path(self.folder) / name)

    def files(self) -> list[SourceFile]:
        """Return all files, in byte order of their samples.

        Raises:
            ShardNotFoundError: there are none.
            InputError: two would be the same sample, or a name, or the list, is no UTF-8 text.
        """
        found = sorted(self._found(), key=lambda file: file.sample.encode())
        if not found:
            raise ShardNotFoundError(f"{self.text} holds no files that store {self._store!r} reads, such as {self._example}")
        for one, other in pairwise(found):
            if one.name == other.name:
                raise InputError(f"{self.text} lists {self.path(one.name)} twice: remove one of the lines")
            if one.sample == other.sample:
                raise InputError(
                    f"{self.path(one.name)} and {self.path(other.name)} would both be sample {one.sample!r}: rename one, or "
                    "name the files that are meant in a list (files.txt)"
                )
        return found

    def _found(self) -> Iterator[SourceFile]:
        for path in self._paths():
            name = os.path.relpath(path, self.folder)
            try:
                name.encode()
                stamp = Stamp.of(path)
            except UnicodeEncodeError as error:
                raise InputError(f"the path {path!r} is no UTF-8 text; rename it") from error
            except (FileNotFoundError, NotADirectoryError) as error:
                raise ShardNotFoundError(f"{self.text}: there is no file {path}") from error
            stem = self._names.sub("", name) or name
            yield SourceFile(name, clean_name(stem) or stem, stamp)

    def _paths(self) -> Iterator[str]:
        if self._is_list:
            try:
                lines = Path(self.text).read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError as error:
                raise InputError(f"{self.text} is no list of files, one path a line, in UTF-8: {error}") from error
            yield from (str(Path(self.folder, line.strip())) for line in lines if line.strip())
        elif self._is_pattern:
            found = glob.iglob(self.text, recursive=True)  # noqa: PTH207 - an absolute pattern is more than Path.glob takes
            yield from (path for path in found if Path(path).is_file())
        elif self.is_file:
            yield self.text
        else:
            for folder, _, names in os.walk(self.text):
                yield from (f"{folder}{os.sep}{name}" for name in names if self._names.search(name))

    @property
    def _example(self) -> str:
        return "genome.2bit" if self._store == "twobit" else "genome.fa or genome.fa.gz (bgzip)"
