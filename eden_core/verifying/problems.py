"""What a check found wrong."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong in one place.

    Attributes:
        kind: a short name, such as "missing-shard".
        where: file, or sample.
        what: what was found and what was expected; of several of a kind in one place the first.
        remedy: the command, or what else would mend it.
        count: how many of the kind there are in this place.
    """

    kind: str
    where: str
    what: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        more = f" (and {self.count - 1:,} more there)" if self.count > 1 else ""
        return f"{self.kind}: {self.where}: {self.what}{more}; mend it with: {self.remedy}"


class Problems:
    """Collects problems: of each kind and place the first, and their number."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Problem] = {}

    def add(self, kind: str, where: str, what: str, remedy: str, count: int = 1) -> None:
        """Note a problem, or `count` of them."""
        if count:
            first = self._found.get((kind, where), Problem(kind, where, what, remedy, 0))
            self._found[kind, where] = Problem(kind, where, first.what, first.remedy, first.count + count)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note what another collected."""
        for one in problems:
            self.add(one.kind, one.where, one.what, one.remedy, one.count)

    def listed(self) -> list[Problem]:
        """Return the problems by place, then kind."""
        return [self._found[key] for key in sorted(self._found, key=lambda key: (key[1], key[0]))]
