"""What all plugins promise of their options: listed, kept, JSON-like, bound and told apart by the fingerprint."""

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from inspect import Parameter
from typing import Any, TypeVar

from eden_core.interfaces import Objective, Transform, options_of
from eden_core.testing.suite import facts
from eden_core.vocabulary import Vocabulary

Plugin = TypeVar("Plugin")
Bound = TypeVar("Bound", Transform, Objective)

_CATCH_ALL = {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL}


def check_options(plugin: object, *, keyword_only: bool) -> None:
    """Fail where an option is not listed by name, or not kept as an attribute of its name, or not JSON-like."""
    for option in inspect.signature(type(plugin)).parameters.values():
        if keyword_only and option.name != "location":
            claim = f"option {option.name!r} must be keyword-only and listed by name"
            assert option.kind is option.KEYWORD_ONLY, claim
        assert option.kind not in _CATCH_ALL, f"options must be listed by name, without *{option.name}"
        assert hasattr(plugin, option.name), f"option {option.name!r} must be kept as an attribute of its name"
        _check_json(option.name, getattr(plugin, option.name))


def _check_json(option: str, value: object) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        claim = f"option {option!r} must be JSON-like (numbers, texts, lists, dicts), since runs write it down"
        raise AssertionError(f"{claim}; {error}: keep what is made of it under another name") from None


def options_with_values(plugin: object) -> dict[str, Any]:
    """Return the options of a plugin and the values that it has."""
    return {option: getattr(plugin, option) for option in options_of(type(plugin))}


def made_again(plugin: Plugin) -> Plugin:
    """Return another plugin, made with the same options."""
    return type(plugin)(**options_with_values(plugin))


def check_bind(plugin: Bound, vocabulary: Vocabulary) -> None:
    """Fail where `bind` forgets an option or changes what it is asked of; each option is tried with another value too."""
    before = state_of(plugin)
    bound = plugin.bind(vocabulary)
    assert state_of(plugin) == before, "bind() must return another object where it learns something, and leave its own as it is"
    found, asked = options_with_values(bound), options_with_values(plugin)
    assert found == asked, f"bind() must keep the options {asked}; it gave {found}"
    assert bound.fingerprint() == plugin.fingerprint(), "bind() must keep the options, which the fingerprint tells"
    for option, other in _with_another_value(plugin, lambda made: made.bind(vocabulary)):
        kept, asked_for = getattr(other.bind(vocabulary), option), getattr(other, option)
        assert kept == asked_for, f"bind() must keep the option {option!r}: {asked_for!r} became {kept!r}"


def check_fingerprint(plugin: Bound, again: Bound) -> None:
    """Fail where the fingerprint lacks the name, differs from that of an equal plugin, or does not tell an option."""
    fingerprint = plugin.fingerprint()
    assert isinstance(fingerprint, str), "fingerprint() must return a string"
    assert plugin.name in fingerprint, f"fingerprint() must hold the name {plugin.name!r}; it is {fingerprint!r}"
    assert again.fingerprint() == fingerprint, "equal plugins must have equal fingerprints"
    for option, other in _with_another_value(plugin, lambda made: made.fingerprint()):
        claim = f"fingerprint() must change with the option {option!r}; it is {fingerprint!r}"
        assert other.fingerprint() != fingerprint, f"{claim} for {getattr(plugin, option)!r} and {getattr(other, option)!r}"


def _with_another_value(plugin: Plugin, works: Callable[[Plugin], object]) -> Iterator[tuple[str, Plugin]]:
    """Yield (option, plugin) for each option of which another value is accepted, with which the plugin `works`."""
    options = options_with_values(plugin)
    for option, value in options.items():
        for other in _others(value):
            made = None
            with suppress(Exception):  # whatever refuses a value that is not right
                made = type(plugin)(**{**options, option: other})
                works(made)
            if made is not None and getattr(made, option, None) == other:
                yield option, made
                break


def _others(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value / 2, value + 1]
    if isinstance(value, str):
        return [f"{value}x", value.swapcase(), "x"]
    if isinstance(value, list | tuple | dict):
        return [type(value)()]
    return []


def state_of(plugin: object) -> Any:
    """Return what would be pickled of a plugin, as something that `==` compares."""
    state = plugin.__getstate__()
    return {name: facts(value) for name, value in state.items()} if isinstance(state, dict) else facts(state)


def other_vocabulary(vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary of other ids, each one higher."""
    return replace(
        vocabulary,
        name=f"{vocabulary.name}, one higher",
        encode_text=lambda text: [token + 1 for token in vocabulary.encode(text)],
        table=None if vocabulary.table is None else vocabulary.table + (vocabulary.table >= 0),
        **{special: token + 1 for special, token in vocabulary.specials.items()},
    )
