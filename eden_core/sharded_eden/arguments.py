"""What the arguments of the older module mean to Eden."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any

from eden_core.errors import ConfigurationError
from eden_core.tiling import DEFAULT_STRIDE

_REFUSED = {
    "vocab_file": "no BPE vocabulary is read, since DNA wants none: give the tokenizer itself, as tokenizer=",
    "merges_file": "no BPE vocabulary is read, since DNA wants none: give the tokenizer itself, as tokenizer=",
    "rampup_batch_size": "under Lightning the global batch stays as it is: leave it out, or train in Megatron's own loop with "
    "eden_core.megatron.EdenDatasetProvider, where it may be ramped up",
}


def chosen_stride(stride: int | None) -> int:
    """Return the stride that a window database must have been built with."""
    return DEFAULT_STRIDE if stride is None else stride


def chosen_tokenizer(tokenizer: Any) -> Any:
    """Return the tokenizer, "nucleotide" where none is given."""
    return "nucleotide" if tokenizer is None else tokenizer


def check_served(given: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` when an argument asks for what Eden does otherwise."""
    for name, remedy in _REFUSED.items():
        if given[name] is not None:
            raise ConfigurationError(f"{name} is {given[name]!r}, and {remedy}")


def known_among(further: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return those further arguments that are known; others that say something are warned about, and ignored."""
    ignored = {name: value for name, value in further.items() if name not in known and value is not None}
    if ignored:
        warnings.warn(
            f"ignored, since neither the older module nor EdenDataModule has such arguments: {ignored!r:.400}",
            UserWarning,
            stacklevel=3,
        )
    return {name: value for name, value in further.items() if name in known}
