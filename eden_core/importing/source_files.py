"""Which files are imported, and the sample and tag that each stands for."""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from eden_core.errors import ConfigurationError, InputError, InvalidSequenceIdError
from eden_core.records import is_source, stem_of
from eden_core.records.decompression import STANDARD_INPUT
from eden_core.sequence_ids import clean_name, compose_sequence_id

FALLBACK_TAG = "DNA"
"""tag of a file whose name begins with no letter"""

_LONGEST_SAMPLE = 200
_COLUMNS = ("path", "sample", "tag")


@dataclass(frozen=True)
class SourceFile:
    """A file to import: one sample, one shard.

    Attributes:
        path: of the file, or `-` for standard input.
        sample: the sample that all its sequences belong to.
        tag: control tag of sequences whose ids have none.
    """

    path: str
    sample: str
    tag: str

    @property
    def can_be_read_once(self) -> bool:
        """Whether it is standard input, a pipe or the like, whose content is gone once it is read."""
        return self.path == STANDARD_INPUT or (Path(self.path).exists() and not Path(self.path).is_file())

    @property
    def stamp(self) -> tuple[int, int]:
        """Size in bytes and time of the last change in nanoseconds; -1 each for what can be read once only, such as a pipe."""
        if not Path(self.path).is_file():
            return -1, -1
        found = Path(self.path).stat()
        return found.st_size, found.st_mtime_ns

    def seen_from(self, folder: str) -> "SourceFile":
        """Return the file as a process in another folder opens it."""
        if not folder or self.path == STANDARD_INPUT or folder == str(Path.cwd()):
            return self
        return replace(self, path=str(Path(folder) / self.path))


def find_source_files(
    sources: Iterable[str | Path] = (),
    *,
    sample: str | None = None,
    tag: str | None = None,
    pattern: str | None = None,
    manifest: str | Path | None = None,
    out: str | Path | None = None,
) -> list[SourceFile]:
    """Return the files to import, in byte order of their samples.

    Sample and tag are those of the manifest, else of `sample` and `tag`, else of the pattern, else of the file's
    name. Of a name such as `BCR__mg-001.fa.gz` the tag is what comes before the `__`, and the sample what follows, with `-`
    turned into `.`; of `mg-001.fa.gz` the tag is `MG`, the letters it begins with in upper case.

    Args:
        sources: files, directories (searched for names of FASTA, JSONL, Parquet, Arrow and SQLite files, at any depth), glob
            patterns, or `-` for standard input.
        sample: the sample, of a single file.
        tag: the tag, of all files.
        pattern: regular expression that is searched in each path, with the group `sample`, `tag`, or both.
        manifest: table with the column `path`, and `sample` and `tag` where wanted: Parquet, or text separated by tabs
            (`.tsv`) or commas. A relative path begins at the table's folder.
        out: where they will be imported to: what lies there is none of the sources, where it is in one of the directories.

    Raises:
        InputError: there is no file, one is missing, its path is no UTF-8 text, or two claim one sample.
        InvalidSequenceIdError: a sample or tag would not survive in a sequence id.
        ConfigurationError: the pattern is none, or has neither group; a directory is to be imported into itself.
    """
    named = _Naming(sample, tag, pattern)
    found = [named.file(path) for path in _expanded(sources, None if out is None else Path(out).resolve())]
    if manifest is not None:
        found += [named.file(*row) for row in _rows(Path(manifest))]
    if not found:
        raise InputError("there is nothing to import: give files, directories or glob patterns, or --manifest TABLE")
    return _unique(found)


class _Naming:
    """Gives a file its sample and tag."""

    def __init__(self, sample: str | None, tag: str | None, pattern: str | None) -> None:
        self._given = {"sample": sample, "tag": tag}
        for name, text in self._given.items():
            if text == "":
                raise ConfigurationError(f"--{name} is empty: give the {name}, or leave the option out")
        self._pattern = None if pattern is None else _compiled(pattern)

    def file(self, path: str, sample: str | None = None, tag: str | None = None) -> SourceFile:
        if not _is_utf8(path):
            raise InputError(f"the path {path!r} is no UTF-8 text, and tables name the files that contigs come from: rename it")
        names = {"sample": sample, "tag": tag}
        for more in (self._given, self._matched(path), _from_name(path)):
            names = {key: value or more.get(key) for key, value in names.items()}
        if not names["sample"]:
            raise ConfigurationError("standard input has no name to take the sample from: give --sample")
        chosen = SourceFile(path, names["sample"], names["tag"] or FALLBACK_TAG)
        compose_sequence_id(chosen.tag, chosen.sample, "only-a-check")
        if chosen.sample.startswith(".") or not (chosen.sample + chosen.tag).isprintable():
            raise InvalidSequenceIdError(
                f"sample {chosen.sample!r} with tag {chosen.tag!r}: samples must not begin with '.', and both must be printable"
            )
        if len(chosen.sample.encode()) > _LONGEST_SAMPLE:
            raise InvalidSequenceIdError(
                f"sample {chosen.sample[:40]!r}… has more than {_LONGEST_SAMPLE} bytes: file names cannot be that long"
            )
        return chosen

    def _matched(self, path: str) -> dict[str, str | None]:
        if self._pattern is None or path == STANDARD_INPUT:
            return {}
        match = self._pattern.search(Path(path).as_posix())
        if match is None:
            raise InputError(f"{path} does not match the pattern {self._pattern.pattern!r}, which is to name its sample or tag")
        return {name: clean_name(text) for name, text in match.groupdict().items() if text and clean_name(text)}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"--pattern {pattern!r} is no regular expression: {error}") from error
    if not compiled.groupindex.keys() & {"sample", "tag"}:
        raise ConfigurationError(
            f"--pattern {pattern!r} names nothing: it needs a group (?P<sample>…), a group (?P<tag>…), or both"
        )
    return compiled


def _from_name(path: str) -> dict[str, str | None]:
    if path == STANDARD_INPUT:
        return {}
    stem = stem_of(path)
    before, separator, rest = stem.partition("__")
    tag = clean_name(before) if separator and rest else ""
    letters = re.match(r"[A-Za-z]*", stem)
    return {
        "sample": clean_name(rest if tag else stem) or None,
        "tag": tag or (letters.group().upper() if letters else "") or None,
    }


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _expanded(sources: Iterable[str | Path], out: Path | None) -> Iterator[str]:
    given = list(map(str, sources))
    for source in given:
        path = Path(source)
        if len(given) > 1 and _is(path, out):  # as a pattern of the shell gives it
            continue
        if source == STANDARD_INPUT or path.is_file():
            yield source
        elif path.is_dir():
            inside = _inside(path, out)
            if not inside:
                raise InputError(f"{source} holds no file whose name ends like one of FASTA, JSONL, Parquet, Arrow or SQLite")
            yield from inside
        elif path.exists():
            yield source  # a pipe or device, which can be read once
        else:
            matching = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - an absolute pattern is more than Path.glob takes
            if not matching:
                raise InputError(f"{source}: there is no such file or directory, and as a pattern it matches none")
            for match in (found for found in map(Path, matching) if not _is(found, out)):
                yield from _inside(match, out) if match.is_dir() else [str(match)]


def _is(path: Path, out: Path | None) -> bool:
    return out is not None and path.is_dir() and path.resolve() == out


def _inside(folder: Path, out: Path | None) -> list[str]:
    """Return the shards under a folder where there are any, else the files whose names are those of sources; none in `out`."""
    here = folder.resolve()
    if out == here:
        raise ConfigurationError(
            f"--out {out} is the directory that is imported, and what is written there would be taken for sources the next "
            "time: choose another --out, which may lie in it"
        )
    left_out = None if out is None or not out.is_relative_to(here) else folder / out.relative_to(here)
    names = [path for path in folder.rglob("*") if is_source(path) and (left_out is None or not path.is_relative_to(left_out))]
    shards = sorted(str(path) for path in names if fnmatchcase(path.name, "glm_dataset_*.sqlite"))
    return shards or sorted(str(path) for path in names if path.is_file())


def _rows(manifest: Path) -> Iterator[tuple[str, str | None, str | None]]:
    table = _read_manifest(manifest)
    if "path" not in table.column_names:
        raise InputError(f"{manifest} lacks the column path; it has {', '.join(table.column_names) or 'none'}")
    for name in _COLUMNS:
        if table.column_names.count(name) > 1:
            raise InputError(f"{manifest}: several columns are called {name!r}; expected one")
    columns = [table[name].to_pylist() if name in table.column_names else [None] * len(table) for name in _COLUMNS]
    for row, (path, *names) in enumerate(zip(*columns, strict=True), 1):
        if not path:
            raise InputError(f"{manifest}: row {row} has no path")
        place = manifest.parent / path
        if not place.exists():
            raise InputError(f"{manifest}: row {row}: there is no file {place}")
        sample, tag = (None if name in {None, ""} else str(name) for name in names)
        yield str(place), sample, tag


def _read_manifest(manifest: Path) -> pa.Table:
    try:
        with manifest.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        if parquet:
            return pq.read_table(manifest)
        with manifest.open("rb") as file:
            separator = "\t" if b"\t" in file.readline() else ","
        text = dict.fromkeys(_COLUMNS, pa.string())
        return pyarrow.csv.read_csv(
            manifest,
            read_options=pyarrow.csv.ReadOptions(use_threads=False),  # then its errors name the row
            parse_options=pyarrow.csv.ParseOptions(delimiter=separator),
            convert_options=pyarrow.csv.ConvertOptions(column_types=text, strings_can_be_null=True),
        )
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"the manifest {manifest} cannot be read: {error}") from error


def _unique(files: Sequence[SourceFile]) -> list[SourceFile]:
    by_sample: dict[str, SourceFile] = {}
    for file in files:
        other = by_sample.setdefault(file.sample, file)
        if other is not file:
            raise InputError(
                f"{other.path} and {file.path} both claim the sample {file.sample!r}, and each sample is one shard from one "
                "file: name their samples with --pattern or in a --manifest, or join the files first (cat a.fa b.fa | eden "
                f"import - --sample {file.sample} …)"
            )
    return sorted(files, key=lambda file: file.sample.encode())
