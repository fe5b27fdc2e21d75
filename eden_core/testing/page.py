"""Writes the list of clauses in docs/contracts.md: `python -m eden_core.testing.page docs/contracts.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from eden_core import testing
from eden_core.testing.clauses import Clause, checks_of, summary_of
from eden_core.testing.suite import ContractSuite

BEGIN = "<!-- what follows is written by `python -m eden_core.testing.page docs/contracts.md` -->"

SUITES: tuple[type[ContractSuite], ...] = (
    testing.SequenceStoreTests,
    testing.WindowIndexTests,
    testing.TransformTests,
    testing.ObjectiveTests,
    testing.ExecutorTests,
)


def with_clauses(page: str) -> str:
    """Return the page with the clauses of every suite as they are now, behind what is written by hand."""
    by_hand, _, _ = page.partition(BEGIN)
    return "\n".join([f"{by_hand}{BEGIN}\n", *(line for suite in SUITES for line in _section(suite))])


def _section(suite: type[ContractSuite]) -> Iterator[str]:
    kind = suite.kind
    make = getattr(suite, f"make_{kind}")
    yield f"## {suite.__name__}\n"
    yield f"Write `make_{kind}`: {summary_of(make)}\n"
    yield f"| data of the fixture | {'is'} |\n|---|---|"
    for name in suite.data:
        yield f"| `{name}` | {summary_of(getattr(suite, name).__wrapped__)} |"
    if suite.optional:
        yield "\n| capability | means | assumed where |\n|---|---|---|"
        for capability in suite.optional:
            yield f"| `{capability.name}` | {capability.meaning} | {capability.sign} |"
    yield ""
    checks: dict[Clause, list[str]] = {}
    for check, clause in checks_of(suite).items():
        checks.setdefault(clause, []).append(check)
    for clause, names in checks.items():
        yield from _entry(suite, clause, names)


def _entry(suite: type[ContractSuite], clause: Clause, checks: list[str]) -> Iterator[str]:
    needs = f" Needs {' and '.join(f'`{need}`' for need in clause.needs)}." if clause.needs else ""
    yield f'- <a id="{clause.anchor_in(suite.kind)}"></a>**`{clause.id_in(suite.kind)}`** {clause.rule}{needs}'
    for check in checks:
        yield f"    - `{check}`: {summary_of(getattr(suite, check))}"
    yield ""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_clauses(target.read_text(encoding="utf-8")), encoding="utf-8")
