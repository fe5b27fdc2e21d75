"""What decides the rows of a run, so that a run that goes on elsewhere can tell whether they are still the same."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

SAMPLED = "sampled bases"
"""what is left out where bases could not be read, and then compared with nothing"""

CONTENTS = "contents"
"""digests of the contigs and their bases that an index was built from, with its tiling; left out where an index knows none"""

_PLUGINS = re.compile(r"(?P<source>.*: )?(store|index)", re.DOTALL)
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
        """Return one line for each thing that differs from `here`, with both sides; nothing when none does.

        Where `CONTENTS` says that contigs, bases and windows are the same, another store or index plugin is no difference.
        """
        pairs = [(_ORDER, self.order, here.order), (_BYTES, self.content, here.content)]
        return "".join(
            f"\n  {effect}: {name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}"
            for effect, then, now in pairs
            for name in dict.fromkeys([*then, *now])
            if then.get(name) != now.get(name) and not _is_told_otherwise(name, then, now)
        )


def _is_told_otherwise(name: str, then: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether something that differs does not make a difference: one side does not know it, or it is the same elsewhere."""
    if name.endswith((SAMPLED, CONTENTS)):
        return None in {then.get(name), now.get(name)}
    plugin = _PLUGINS.fullmatch(name)
    if plugin is None or name not in then or name not in now:
        return False
    contents = (plugin["source"] or "") + CONTENTS
    converted = _plugin_name(then[name]) != _plugin_name(now[name])
    return converted and contents in then and then[contents] == now.get(contents)


def _plugin_name(fingerprint: str) -> str:
    """Return the name with which the fingerprint of a plugin begins."""
    return re.split(r"[^\w-]", fingerprint, maxsplit=1)[0]
