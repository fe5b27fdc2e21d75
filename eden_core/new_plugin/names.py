"""What a new plugin and the parts of its package are called."""

import builtins
import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec

from eden_core.errors import ConfigurationError
from eden_core.plugins import installed_plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40


@dataclass(frozen=True)
class PluginNames:
    """The names that follow from a plugin's name."""

    name: str
    """what users write, such as `my-store`"""

    @classmethod
    def of(cls, name: str, kind: str) -> "PluginNames":
        """Return the names of a new plugin.

        Raises:
            ConfigurationError: a name is not possible, or in use.
        """
        names = cls(name.removeprefix("eden-"))
        if not _NAME.fullmatch(names.name) or len(names.name) > _LONGEST:
            proposal = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:_LONGEST].rstrip("-")
            raise ConfigurationError(
                f"a plugin cannot be named {name!r}: give words of lower-case letters and digits with single hyphens between "
                f"them, beginning with a letter, of {_LONGEST} characters at most, such as {proposal or f'my-{kind}'!r}"
            )
        if any(entry.name == names.name for entry in installed_plugins().entries(kind)):
            raise ConfigurationError(
                f"there is a {kind} {names.name!r} already: choose another name (`eden plugins` lists all)"
            )
        if find_spec(names.package) is not None:
            raise ConfigurationError(f"a package {names.package} is installed already: choose another name than {names.name!r}")
        return names

    @property
    def distribution(self) -> str:
        """What is installed, such as `eden-my-store`."""
        return f"eden-{self.name}"

    @property
    def package(self) -> str:
        """What is imported, such as `eden_my_store`."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The class, such as `MyStore`."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    def check_class(self, imported: Collection[str]) -> None:
        """Refuse a class name that Python has a meaning for, or that its module imports.

        Raises:
            ConfigurationError: it is one.
        """
        class_name = self.class_name
        if keyword.iskeyword(class_name) or hasattr(builtins, class_name) or class_name in imported:
            raise ConfigurationError(
                f"a plugin cannot be named {self.name!r}: its class would be {class_name}, which has a meaning already; "
                f"choose another name, such as 'my-{self.name}'"
            )
