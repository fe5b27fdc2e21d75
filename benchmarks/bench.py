"""Runs every part of the benchmark, each in a process of its own, and puts docs/performance.md together. `make bench` runs this.

    python benchmarks/bench.py [--only rows,loaders] [--small] [--write docs/performance.md]

Keeps environments, workloads and results in $EDEN_BENCH_DIR, or in build/bench; the first run makes them, which takes longer.
"""

import subprocess
import sys
import time
from pathlib import Path

from page import PARTS, arguments, say, write_page


def main() -> None:
    """Run the parts in turn; a part that fails leaves its last section on the page."""
    given = arguments(
        only={"default": ",".join(PARTS), "help": "names of parts, with commas between"},
        write={"type": Path, "help": "the page to write; plots go to the folder images beside it"},
        index={"type": Path, "help": "an index of 217 million contigs that is there already"},
    )
    failed = []
    for name in given.only.split(","):
        say(f"{name} …")
        started = time.perf_counter()
        command = [sys.executable, Path(__file__).with_name(f"{name}.py"), "--scratch", given.root]
        command += ["--small"] * given.small
        command += ["--index", given.index] if given.index and name == "arrow_index" else []
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    write_page(given.scratch, given.write)
    if failed:
        sys.exit(f"these parts failed: {', '.join(failed)}; the page has what they found before")


if __name__ == "__main__":
    main()
