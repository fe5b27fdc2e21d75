"""Writes the clauses of the contract suites into docs/contracts.md, behind what is written there by hand.

python tools/contracts.py
"""

from collections.abc import Iterator
from inspect import signature
from pathlib import Path

from eden_core import testing
from eden_core.testing.clauses import Clause, checks_of, summary_of
from eden_core.testing.suite import ContractSuite

PAGE = Path(__file__).parents[1] / "docs" / "contracts.md"

BEGIN = "<!-- from here on the page is written by: python tools/contracts.py -->"

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
    yield f"To be written: `make_{kind}({', '.join(signature(make).parameters)})`. {summary_of(make)}\n"
    yield "| fixture | data |\n|---|---|"
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


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_clauses(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
