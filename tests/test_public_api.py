"""What is public is listed, documented, and does not change without a word in the changes."""

import ast
import re
import sys
import textwrap
from pathlib import Path

import griffe

from eden_core import errors

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import public_api  # noqa: E402 - a script of the repository

ARRAYS = re.compile(r"\b(NDArray|Ragged|Tensor|Batch)\b")
DTYPES = re.compile(r"\b(u?int(8|16|32|64)|float(32|64)|bool|dtypes?|string)\b")
RAISES = re.compile(r"^\s*Raises:|\braises?\b|\bRaise\b", re.MULTILINE)
SHAPES = re.compile(r"\[[^\]]+\]|\bscalar\b|\bshapes?\b|\brows?\b")


def released() -> set[str]:
    return set(public_api.RELEASED.read_text(encoding="utf-8").splitlines())


def latest_changes() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]


def name_of(line: str) -> str:
    return re.split(r"[(:]", line.removeprefix("class "))[0].strip()


def unnamed(lines: set[str], text: str) -> list[str]:
    """The lines whose last name no `code` of a text has."""
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    return sorted(line for line in lines if name_of(line).rpartition(".")[2] not in named)


def test_the_page_lists_what_is_public():
    assert public_api.PAGE.read_text(encoding="utf-8") == public_api.page(), "run: python tools/public_api.py"


def test_the_reference_has_every_public_module():
    assert public_api.REFERENCE.read_text(encoding="utf-8") == public_api.reference(), "run: python tools/public_api.py"


def test_changes_since_the_release_are_in_the_changelog():
    changed = released().symmetric_difference(public_api.lines())
    assert not unnamed(changed, latest_changes()), "these public names changed: say so in the first section of CHANGELOG.md"


def test_a_change_without_a_word_is_found_out():
    changed = {"eden_core.Tiling.counts(lengths: int) -> int", "class eden_core.Tiling(Base)"}
    assert unnamed(changed, "`Tiling` is another") == ["eden_core.Tiling.counts(lengths: int) -> int"]


def test_the_rest_of_a_public_module_is_underscored():
    stray = [
        f"{module.path}.{name}"
        for module in public_api.public_modules()
        for name, member in module.members.items()
        if isinstance(member, griffe.Function | griffe.Class | griffe.Attribute)
        and not name.startswith("_")
        and name not in {str(export) for export in module.exports or ()}
    ]
    assert not stray


def documented() -> dict[str, griffe.Object]:
    """Public name -> what must be documented."""
    found = {}
    for name, each in public_api.public_objects().items():
        found[name] = each
        if isinstance(each, griffe.Class):
            found |= {f"{name}.{member.name}": member for member in public_api.members_of(each)}
    return found


def docstring_of(each: griffe.Object) -> str:
    """Its docstring, or that of its class for a constructor and for an attribute named there, or of what it overrides."""
    if each.docstring is not None:
        return each.docstring.value
    owner = each.parent
    if not isinstance(owner, griffe.Class):
        return ""
    about = owner.docstring.value if owner.docstring is not None else ""
    if each.name.startswith("__") or re.search(rf"^\s*(\w+, )*{re.escape(each.name)}(, \w+)*:", about, re.MULTILINE):
        return about
    inherited = [base[each.name].docstring for base in owner.mro() if each.name in base.members]
    return next((docstring.value for docstring in inherited if docstring is not None), "")


def told_of(each: griffe.Object) -> str:
    """Its docstring and that of its class."""
    owner = each.parent
    about = owner.docstring.value if isinstance(owner, griffe.Class) and owner.docstring is not None else ""
    return f"{docstring_of(each)}\n{about}"


def faults_of(each: griffe.Object) -> list[str]:
    """What its docstring lacks."""
    if not docstring_of(each):
        return ["docstring"]
    if not isinstance(each, griffe.Function):
        return []
    types = f"{[str(parameter.annotation) for parameter in each.parameters]} {each.returns}"
    arrays = ARRAYS.search(types) is not None and not each.name.startswith("__")
    lacks = {
        "dtypes": arrays and not DTYPES.search(told_of(each) + types),
        "shapes": arrays and not SHAPES.search(told_of(each)),
        "errors": bool(raised_by(each)) and not RAISES.search(told_of(each)),
    }
    return [what for what, lacking in lacks.items() if lacking]


def raised_by(function: griffe.Function) -> set[str]:
    """The errors of Eden that it raises by itself, or through what is private to its class or module."""
    called = {found for name in names_called(function) if (found := private_function(name, function)) is not None}
    return set.union(*(own_errors(each) for each in (function, *called)))


def own_errors(function: griffe.Function) -> set[str]:
    tree = ast.parse(textwrap.dedent(function.source))
    raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))
    return {error.func.id for error in raised if isinstance(error.func, ast.Name)} & set(errors.__all__)


def names_called(function: griffe.Function) -> set[str]:
    tree = ast.parse(textwrap.dedent(function.source))
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in called}


def private_function(name: str, function: griffe.Function) -> griffe.Function | None:
    """What a name that begins with an underscore calls."""
    places = [function.parent, function.module] if name.startswith("_") and not name.startswith("__") else []
    found = (place.members.get(name) for place in places if place is not None)
    return next((each for each in found if isinstance(each, griffe.Function)), None)


def test_everything_public_is_documented():
    """With dtypes and shapes where there are arrays, and the errors that it raises."""
    faults = {f"{each.filepath}:{each.lineno} {name}": faults_of(each) for name, each in documented().items()}
    assert len(faults) > 300
    assert not {name: lacking for name, lacking in faults.items() if lacking}


SPARSE = '''
class Reader:
    """Reads."""

    def read(self, ids: NDArray[np.int64]) -> Ragged[Any]:
        """Read."""
        raise InputError("no")

    def close(self):
        pass
'''


def test_a_sparse_docstring_is_found_out(tmp_path):
    (tmp_path / "sparse.py").write_text(SPARSE)
    reader = griffe.load("sparse", search_paths=[str(tmp_path)])["Reader"]
    assert faults_of(reader["read"]) == ["shapes", "errors"]
    assert faults_of(reader["close"]) == ["docstring"]
