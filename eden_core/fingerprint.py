"""What decides the rows of a run, so that a run that goes on elsewhere can tell whether they are still the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

SAMPLED = "sampled bases"
"""what is left out where bases could not be read, and then compared with nothing"""

_ORDER, _BYTES = "changes the order", "changes the bytes"


@dataclass(frozen=True)
class Fingerprint:
    """Settings and digests by name, all as text; its own text is JSON, which `parse` reads back.

    Attributes:
        order: what decides which window makes row i.
        content: what decides the bytes that a window becomes.
    """

    order: Mapping[str, str]
    content: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "Fingerprint":
        """Return the fingerprint of this text; of any other text, one that equals none."""
        try:
            found = json.loads(text)
            return cls(dict(found["order"]), dict(found["content"]))
        except (ValueError, TypeError, KeyError):
            return cls({"fingerprint": str(text)}, {})

    def __str__(self) -> str:
        return json.dumps({"order": dict(self.order), "content": dict(self.content)}, sort_keys=True)

    def differences(self, here: "Fingerprint") -> str:
        """Return one line for each thing that differs from `here`, with both sides; nothing when none does."""
        pairs = [(_ORDER, self.order, here.order), (_BYTES, self.content, here.content)]
        return "".join(
            f"\n  {effect}: {name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}"
            for effect, then, now in pairs
            for name in dict.fromkeys([*then, *now])
            if then.get(name) != now.get(name) and not (name == SAMPLED and None in {then.get(name), now.get(name)})
        )
