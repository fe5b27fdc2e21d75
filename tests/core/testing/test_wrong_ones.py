"""Every clause has a wrong implementation, and the check that is there for it names the clause."""

import re

import pytest
import wrong_executors
import wrong_indexes
import wrong_objectives
import wrong_stores
import wrong_transforms

from eden_core import testing
from eden_core.testing.clauses import checks_of

FAULTS = [
    fault
    for module in (wrong_stores, wrong_indexes, wrong_transforms, wrong_objectives, wrong_executors)
    for fault in module.FAULTS
]
SUITES = [getattr(testing, name) for name in testing.__all__]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault_is_found(tmp_path, fault):
    found = fault.found(tmp_path)
    for file in (*wrong_stores.LeavesFilesOpen.left, *wrong_indexes.LEFT_OPEN):
        file.close()
    head, _, details = found.partition("\n")
    assert head.startswith(f"{fault.clause}: ")
    assert head.endswith("(a clause of the page Contracts of Eden's documentation)")
    assert re.search(fault.complaint, details)


@pytest.mark.parametrize("suite", SUITES)
def test_every_check_has_a_clause_and_every_clause_a_fault(suite):
    faults = [fault for fault in FAULTS if issubclass(fault.suite, suite)]
    checks = checks_of(suite)
    assert set(checks) == {name for name in dir(suite) if name.startswith("test_")}
    assert {fault.check for fault in faults} == set(checks)
    assert {fault.clause for fault in faults} == {clause.id_in(suite.kind) for clause in checks.values()}


@pytest.mark.parametrize("suite", SUITES)
def test_ids_are_unique(suite):
    clauses = set(checks_of(suite).values())
    assert len({clause.name for clause in clauses}) == len(clauses)
    assert {need for clause in clauses for need in clause.needs} <= {capability.name for capability in suite.optional}
