"""The page that the parts of the benchmark make together: docs/performance.md, its plots, and the table of what must hold.

    python benchmarks/page.py [--write docs/performance.md]

Each part keeps what it found in the scratch folder, so that the page can be put together anew after any of them.
"""

import argparse
import datetime as dt
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
SCRATCH = Path(os.environ.get("EDEN_BENCH_DIR") or ROOT / "build" / "bench")
PARTS = ("rows", "loaders", "scaling", "shards", "arrow_index", "latency", "shuffling", "packing", "preparing")
"""in the order of the page"""
PACKAGES = ("numpy", "torch", "apsw", "pyarrow", "lightning", "megatron-core", "numba")


@dataclass(frozen=True)
class Target:
    """One thing that must hold."""

    row: str
    """of the table in DESIGN, in its words"""
    what: str
    must: str
    measured: str
    met: bool | None
    """None: could not be measured here"""


@dataclass
class Section:
    """What one part of the benchmark adds to the page."""

    name: str
    text: str
    """Markdown, from its heading on"""
    targets: list[Target] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    """name of a file in docs/images -> SVG"""
    date: str = ""
    seconds: float = 0.0
    small: bool = False
    """whether it was only tried out"""

    def save(self, scratch: Path) -> None:
        """Keep it for the page."""
        folder = scratch / "results"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1))

    @staticmethod
    def load(scratch: Path, name: str) -> "Section | None":
        """What a part found last."""
        path = scratch / "results" / f"{name}.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        return Section(**found | {"targets": [Target(**target) for target in found["targets"]]})


def spread(values: list[float], digits: int = 1) -> str:
    """Median, with the smallest and largest."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} … {max(values):,.{digits}f})"


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))


def say(text: str) -> None:
    """Tell how far a part is."""
    print(f"[{dt.datetime.now(dt.UTC):%H:%M:%S}] {text}", flush=True)


def arguments(**further: dict) -> argparse.Namespace:
    """What every part takes on its command line, and further options: name -> arguments of `add_argument`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where workloads, environments and results are kept")
    parser.add_argument("--small", action="store_true", help="try it out on little data; the figures say nothing")
    for name, options in further.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    given = parser.parse_args()
    given.root = given.scratch.resolve()
    given.environments = given.root / "environments"
    given.scratch = given.root / "small" if given.small else given.root
    given.scratch.mkdir(parents=True, exist_ok=True)
    return given


def run(measure: Callable[[argparse.Namespace], Section], **further: dict) -> None:
    """Be the command of a part: measure, print the section and keep it for the page."""
    given = arguments(**further)
    started = dt.datetime.now(dt.UTC)
    section = measure(given)
    section.date, section.small = started.date().isoformat(), given.small
    section.seconds = (dt.datetime.now(dt.UTC) - started).total_seconds()
    section.save(given.scratch)
    print(section.text)
    for target in section.targets:
        print(f"{_verdict(target)}: {target.row}, {target.what}: {target.measured}, must be {target.must}")


def page(sections: list[Section]) -> str:
    """Return docs/performance.md."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    parts = [_head(today), _summary(sections), Path(__file__).with_name("unmet.md").read_text().strip()]
    for section in sections:
        parts.append(section.text.strip())
        if section.small or section.date != today:
            parts.append(f"Measured on {section.date}{', tried out on little data: the figures say nothing' * section.small}.")
    return "\n\n".join(parts) + "\n"


def _head(today: str) -> str:
    return f"""# Performance

Written by `make bench`; do not edit. A row is 8192 tokens: int64 tokens, labels and position ids, float32 loss mask. "3.1 (2.9 … 4.0)" is the
median of the rounds, with the smallest and the largest; in a round everything that is compared runs in turn, and a ratio is within one round.

{today}, {os.cpu_count()} cores ({_processor()}), {_memory():.0f} GB, Linux {platform.release()}, Python {platform.python_version()}, {_versions()}."""


def _summary(sections: list[Section]) -> str:
    targets = [target for section in sections for target in section.targets]
    lines = [[target.row, target.what, target.must, target.measured, _verdict(target)] for target in targets]
    unmet, unknown = (sum(target.met is verdict for target in targets) for verdict in (False, None))
    return f"""## What must hold

{len(targets)} figures: {unmet} not as they must be, {unknown} not measured. Two cores, files in the page cache unless said otherwise.

{table(["what", "in which case", "must be", "measured", ""], lines)}"""


def _verdict(target: Target) -> str:
    return _VERDICTS[target.met] if target.must else ""


_VERDICTS = {True: "met", False: "**not met**", None: "not measured"}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> float:
    return int(Path("/proc/meminfo").read_text().split()[1]) / 1e6


def _versions() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def write_page(scratch: Path, path: Path | None) -> None:
    """Put the page together from what the parts found last, and write it and its plots, or print it."""
    sections = [section for name in PARTS if (section := Section.load(scratch, name))]
    text = page(sections)
    if path is None:
        print(text)
        return
    path.write_text(text)
    folder = path.parent / "images"
    folder.mkdir(exist_ok=True)
    for section in sections:
        for name, svg in section.images.items():
            (folder / name).write_text(svg)


def main() -> None:
    """Be the command."""
    given = arguments(write={"type": Path})
    write_page(given.scratch, given.write)


if __name__ == "__main__":
    main()
