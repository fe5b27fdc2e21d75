"""docs/contracts.md lists every clause, at a place of its own."""

import re
import sys
from pathlib import Path

import markdown

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import contracts  # noqa: E402 - a script of the repository

PAGE = contracts.PAGE.read_text(encoding="utf-8")
CLAUSES = [(suite.kind, clause) for suite in contracts.SUITES for clause in set(contracts.checks_of(suite).values())]


def test_the_page_is_what_the_suites_say():
    assert contracts.with_clauses(PAGE) == PAGE, "run: python tools/contracts.py"


def test_what_is_written_by_hand_stays():
    assert contracts.with_clauses(f"# By hand\n\n{contracts.BEGIN}\nold\n").startswith(f"# By hand\n\n{contracts.BEGIN}\n\n## ")


def test_every_clause_has_its_place_on_the_site():
    found = re.findall(r'id="([^"]+)"', markdown.markdown(PAGE, extensions=["attr_list", "tables", "toc"]))
    assert len(set(found)) == len(found)
    assert {clause.anchor_in(kind) for kind, clause in CLAUSES} <= set(found)


def test_rules_are_one_sentence():
    assert len(CLAUSES) > 70
    for kind, clause in CLAUSES:
        assert re.fullmatch(r"(.(?!\. ))+\.", clause.rule), clause.id_in(kind)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", clause.name), clause.id_in(kind)
