"""Every code block of the documentation is executed, or says why not; every link leads to a file, and to a heading of it.

What counts, block by block:
- `python` is executed, the blocks of a page in one namespace; `bash` by `bash -e`; `sql` by SQLite, in memory. All blocks of a
  page run in one folder, which has what `folder` makes.
- `console` has commands behind `$ `, each run by `bash -e`. What stands below one is what it prints, standard error included,
  with `…` for anything; where nothing stands, it may print what it likes. A line `error: …` there says that the command fails.
- `pycon` is a doctest, in the namespace of `python`: what is printed and raised must be as shown, with `...` for anything.
- `toml`, `json` and `yaml` must parse; `text` is for what is not code. There are no other languages.
- `<!-- not run: reason -->` in the line before a block spares it.
- `<!-- excerpt: path -->` in the line before a block: its text must occur in that file, and is not executed.
- `<!-- file: name -->` in the line before a block: it is written to a file of that name, for later blocks to run.

`sbatch` and `srun` are those of tests/commands: they start a job's tasks at once, on this machine, in the environment of SLURM.
"""

import doctest
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest
import yaml
from plain import write_seed_index, write_seed_shard

from eden_core import installed_plugins

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REPLAYED = [ROOT / "docs" / "your-first-plugin.md"]  # a transcript, by tests/integration/test_new_plugin.py
SECONDS = 60
LANGUAGES = {"bash", "console", "json", "pycon", "python", "sql", "text", "toml", "yaml"}
GENERATED = "reference-api.md"
"""its headings are those of the site, where mkdocs looks for anchors"""
FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)")
DIRECTIVE = re.compile(r"<!--\s*(?P<name>not run|excerpt|file)\b:?\s*(?P<value>.*?)\s*-->")
LINK = re.compile(r"\[[^\]]*\]\(<?([^()\s>]+)[^()]*\)|^\[[^\]]+\]:\s+<?([^\s>]+)")


class DocumentationError(AssertionError):
    pass


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    """of its first line of text, from 1"""
    language: str
    text: str
    not_run: str | None = None
    excerpt: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


def parts_of(page: Path) -> Iterator[Block | tuple[int, str]]:
    """The blocks of a page, and between them its lines of prose with their numbers."""
    lines = page.read_text(encoding="utf-8").splitlines()
    before, number = "", 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        number += 1
        if opened is None:
            before = lines[number - 1]
            yield number, before
            continue
        end = re.compile(rf" *{opened['fence']}{opened['fence'][0]}*\s*$")
        stop = next((at for at in range(number, len(lines)) if end.match(lines[at])), None)
        if stop is None:
            raise DocumentationError(f"{name_of(page)}:{number}: the block is never closed")
        indented = "".join(f"{line.removeprefix(opened['indent'])}\n" for line in lines[number:stop])
        yield Block(page, number + 1, opened["language"], indented, **directive(page, number - 1, before))
        before, number = "", stop + 1


def directive(page: Path, line: int, text: str) -> dict[str, str]:
    found = DIRECTIVE.fullmatch(text.strip())
    if found is None:
        return {}
    if not found["value"]:
        raise DocumentationError(f"{name_of(page)}:{line}: expected <!-- {found['name']}: … -->, with what or why")
    return {found["name"].replace(" ", "_"): found["value"]}


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it: lines with a `$ ` in front and what continues them."""
    found: list[tuple[str, str]] = []
    continued = False
    for line in block.text.splitlines():
        if continued or line.startswith("$ "):
            before = f"{found.pop()[0]}\n" if continued else ""
            found.append((before + (line if continued else line.removeprefix("$ ")), ""))
            continued = line.endswith("\\")
        else:
            assert found, "no line begins with '$ '"
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def as_shown(shown: str, printed: str) -> bool:
    """Whether a command printed what a page shows; `…` stands for anything, and trailing space for nothing."""
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(".*".join(map(re.escape, shown.strip().split("…"))), lines, re.DOTALL) is not None


class Runner:
    """Executes the blocks of one page, in the current folder."""

    def __init__(self) -> None:
        self.namespace = {"__name__": "__main__"}
        places = (Path(sys.executable).parent, ROOT / "tests" / "commands", os.environ["PATH"])
        self.environment = os.environ | {
            "PATH": os.pathsep.join(map(str, places)),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.database = sqlite3.connect(":memory:")

    def run(self, block: Block) -> None:
        kind = "excerpt" if block.excerpt else "file" if block.file else "skip" if block.not_run else block.language
        action = getattr(self, f"_{kind}", None)
        if action is None or block.language not in LANGUAGES:
            raise DocumentationError(f"{block}: unknown language {block.language!r}")
        try:
            action(block)
        except Exception as error:
            raise DocumentationError(f"{block}: {type(error).__name__}: {error}") from error

    def _excerpt(self, block: Block) -> None:
        text = (ROOT / block.excerpt).read_text(encoding="utf-8")
        assert block.text.strip(), "the excerpt is empty"
        assert f"\n{block.text}" in f"\n{text}", f"this text does not occur in {block.excerpt}"

    def _file(self, block: Block) -> None:
        Path(block.file).write_text(block.text, encoding="utf-8")

    def _skip(self, block: Block) -> None:
        pass

    _text = _skip

    def _python(self, block: Block) -> None:
        text = "\n" * (block.line - 1) + block.text  # so that tracebacks show the page's lines
        exec(compile(text, block.page, "exec"), self.namespace)

    def _pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, {}, name_of(block.page), str(block.page), block.line - 1)
        test.globs = self.namespace
        said: list[str] = []
        assert test.examples, "no line begins with '>>> '"
        if doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append, clear_globs=False).failed:
            raise AssertionError("".join(said))

    def _bash(self, block: Block) -> None:
        done = self._done(block.text, stderr=subprocess.PIPE)
        said = done.stderr if len(done.stderr) < 6000 else f"{done.stderr[:3000]}\n…\n{done.stderr[-3000:]}"
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-2000:]}{said}"

    def _console(self, block: Block) -> None:
        for command, shown in commands(block):
            done = self._done(command, stderr=subprocess.STDOUT)
            failed = re.search("^error: ", shown, re.MULTILINE) is not None
            assert (done.returncode != 0) == failed, f"{command}: exit code {done.returncode}\n{done.stdout[-6000:]}"
            if shown.strip() and not as_shown(shown, done.stdout):
                raise AssertionError(f"{command}: it printed\n{done.stdout[-6000:]}")

    def _done(self, script: str, stderr: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", script],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=SECONDS,
        )  # fmt: skip

    def _sql(self, block: Block) -> None:
        self.database.executescript(block.text)

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _yaml(self, block: Block) -> None:
        yaml.safe_load(block.text)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """`shards/` with contigs.parquet and the three window databases (window size 512, stride 480), and genome.fa."""
    folder = tmp_path_factory.mktemp("docs")
    draw = random.Random(12)

    def bases(length):
        return "".join(draw.choices("ACGTacgtN", [12, 12, 12, 12, 2, 2, 2, 2, 1], k=length))

    lengths = {}
    for sample, tag in {"SAMPLE1": "BCR", "SAMPLE2": "BCR", "SAMPLE3": "VIR"}.items():
        sequences = {f"{tag}__ECT-{sample}__CT{i}-1": bases(draw.randint(300, 9_000)) for i in range(10)}
        write_seed_shard(folder / "shards", sample, sequences)
        lengths |= {name: len(sequence) for name, sequence in sequences.items()}
    ids = sorted(lengths, key=str.encode)
    table = pl.DataFrame({"contig_id": ids, "length": [lengths[name] for name in ids]})
    table.write_parquet(folder / "shards" / "contigs.parquet")
    for split, share in {"train": [0, 1, 2, 3], "validation": [4], "test": [5]}.items():
        chosen = {name: lengths[name] for i, name in enumerate(ids) if i % 6 in share}
        write_seed_index(folder / "shards" / f"{split}_windows.db", chosen, 512, 480)
    for sample, name in {"SAMPLE1": "genomes", "SAMPLE2": "metagenomes", "SAMPLE3": "viruses"}.items():
        shutil.copytree(folder / "shards" / sample, folder / name / sample)
        chosen = {contig: length for contig, length in lengths.items() if f"-{sample}__" in contig}
        write_seed_index(folder / name / "train_windows.db", chosen, 512, 480)
    records = (f">contig{i}\n{textwrap.fill(bases(length), 80)}\n" for i, length in enumerate((12_000, 6_000, 2_500), 1))
    (folder / "genome.fa").write_text("".join(records))
    return folder


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.chdir(shutil.copytree(prepared, tmp_path / "docs"))
    yield tmp_path / "docs"
    installed_plugins.cache_clear()  # a page may have registered something


def check_page(page: Path) -> None:
    runner = Runner()
    with closing(runner.database):
        for part in parts_of(page):
            if isinstance(part, Block):
                runner.run(part)


@pytest.mark.timeout(400)  # pages start many processes
@pytest.mark.parametrize("page", [page for page in PAGES if page not in REPLAYED], ids=name_of)
def test_every_block_works(folder, page):
    check_page(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page):
    for place, target in links(page):
        path = (page.parent / unquote(target.partition("#")[0])).resolve()
        assert path.exists(), f"{place}: {target} does not exist"
        assert path.is_relative_to(ROOT), f"{place}: {target} lies outside the repository"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_anchor_is_a_heading(page):
    for place, target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / unquote(name)).resolve() if name else page
        if anchor and path.name != GENERATED:
            assert anchor in anchors(path), f"{place}: {name} has no heading that gives #{anchor}"


def links(page: Path) -> Iterator[tuple[str, str]]:
    """The links of a page that do not lead elsewhere, and where they stand."""
    prose = [part for part in parts_of(page) if isinstance(part, tuple)]
    for line, text in prose:
        for target in (inline or reference for inline, reference in LINK.findall(text)):
            if not re.match(r"[a-z][a-z0-9+.-]*:", target):
                yield f"{name_of(page)}:{line}", target


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub and the site do."""
    headings = [part[1].lstrip("# ") for part in parts_of(page) if isinstance(part, tuple) and re.match("#+ ", part[1])]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


WRONG = {
    "an error": ("```python\n1 / 0\n```", "ZeroDivisionError"),
    "a false claim": ("```python\nassert 1 == 2\n```", "AssertionError"),
    "a warning": ("```python\nimport warnings\nwarnings.warn('old', DeprecationWarning)\n```", "DeprecationWarning"),
    "a failing command": ("```bash\nfalse\ntrue\n```", "exit code 1"),
    "a failing command at a prompt": ("```console\n$ echo a \\\n  b\na b\n$ false\n```", "exit code 1"),
    "other output": ("```console\n$ echo 1 file of 3\n2 … of 3\n```", "it printed"),
    "an error that is none": ("```console\n$ echo error: gone\nerror: gone\n```", "exit code 0"),
    "another value": ("```pycon\n>>> 1 + 1\n3\n```", "Got:"),
    "another message": (
        "```pycon\n>>> int('a')\nTraceback (most recent call last):\nValueError: wrong\n```",
        "invalid literal",
    ),
    "a session without input": ("```pycon\n1\n```", "no line begins"),
    "no prompt": ("```console\necho a\n```", "no line begins"),
    "wrong sql": ("```sql\nSELECT * FROM nowhere;\n```", "no such table"),
    "wrong toml": ("```toml\na =\n```", "TOMLDecodeError"),
    "no language": ("```\na\n```", "unknown language ''"),
    "an unknown language": ("```rust\na\n```", "unknown language 'rust'"),
    "no reason": ("<!-- not run: -->\n```python\na\n```", "with what or why"),
    "an altered excerpt": ("<!-- excerpt: pyproject.toml -->\n```toml\n[built-system]\n```", "does not occur"),
    "an excerpt of nothing": ("<!-- excerpt: no.toml -->\n```toml\na\n```", "FileNotFoundError"),
    "an open block": ("```text\na\n", "never closed"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_page_is_found_out(tmp_path, text, message):
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{text}\n", encoding="utf-8")
    with pytest.raises(DocumentationError, match=rf"(?s)page\.md:\d+: .*{re.escape(message)}"):
        check_page(page)


def test_blocks_share_a_page(tmp_path):
    page = tmp_path / "page.md"
    text = (
        "- a list\n\n  ```python\n  a = 1\n  ```\n\n```python\nassert a == 1\n```\n<!-- not run: why -->\n```bash\nfalse\n```\n"
    )
    page.write_text(text, encoding="utf-8")
    check_page(page)
