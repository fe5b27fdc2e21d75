"""Every exception and warning that Eden raises.

All errors derive from `EdenError`, and each is also the builtin that one would expect, so both `except EdenError` and
`except KeyError` work. Each takes one message string, which lets it pass through a DataLoader worker unharmed.
"""

__all__ = [
    "ConfigurationError",
    "EdenError",
    "ExecutorError",
    "FormatError",
    "InputError",
    "InvalidBaseError",
    "InvalidSequenceIdError",
    "NotSupportedError",
    "OutputExistsError",
    "PluginConflictError",
    "PluginContractError",
    "PluginNotFoundError",
    "PluginOptionError",
    "PluginWarning",
    "RankMismatchError",
    "RepeatedIdError",
    "SequenceNotFoundError",
    "ShardNotFoundError",
    "StaleIndexError",
    "UnreadBasesWarning",
    "WindowOutOfRangeError",
]


class EdenError(Exception):
    """Root of all errors that Eden raises on purpose."""

    def __str__(self) -> str:
        """Return the message as written; `KeyError` alone would quote it."""
        return str(self.args[0]) if self.args else ""


class ConfigurationError(EdenError, ValueError):
    """Arguments that contradict each other, the index, the tokenizer or the Trainer."""


class InvalidSequenceIdError(EdenError, ValueError):
    """A sequence id, sample or tag that does not follow the `TAG__X-SAMPLE__REST` form or could leave its directory."""


class InvalidBaseError(EdenError, ValueError):
    """A byte in a sequence that is no IUPAC nucleotide letter."""


class SequenceNotFoundError(EdenError, KeyError):
    """A store holds no sequence of this id."""


class ShardNotFoundError(EdenError, LookupError):
    """A store has no shard for this sample, or no shards at all."""


class FormatError(EdenError, ValueError):
    """A file is not what its place says: damaged, incomplete, or of another format."""


class StaleIndexError(EdenError, ValueError):
    """An index names bases that the store does not have: it was built for other sequences."""


class WindowOutOfRangeError(EdenError, IndexError):
    """A window or row number outside 0 … len - 1."""


class InputError(EdenError, ValueError):
    """A user's input file cannot be used as it is."""


class RepeatedIdError(InputError):
    """Two sequences of one sample have one id."""


class OutputExistsError(EdenError, FileExistsError):
    """An output is already there and nothing said that it may be replaced."""


class ExecutorError(EdenError, RuntimeError):
    """The workers that were to run tasks cannot be had, or were lost."""


class NotSupportedError(EdenError, TypeError):
    """A plugin that does not offer this optional power, such as writing."""


class PluginNotFoundError(EdenError, LookupError):
    """No installed plugin has this name."""


class PluginConflictError(EdenError, LookupError):
    """Two plugins claim one name."""


class PluginOptionError(EdenError, TypeError):
    """An option that the plugin does not have, or a missing one that it needs."""


class PluginContractError(EdenError, TypeError):
    """A plugin answered something that its contract forbids."""


class RankMismatchError(EdenError, RuntimeError):
    """The ranks of a run do not read what they should: the same where rows must be equal, other rows elsewhere."""


class UnreadBasesWarning(UserWarning):
    """Rows leave bases between windows unread."""


class PluginWarning(UserWarning):
    """A plugin was left out because it is broken."""
