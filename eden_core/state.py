"""Where a run stands, as a checkpoint holds it: plain numbers and texts, the same on every rank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eden_core.dataset import EdenDataset
from eden_core.errors import ConfigurationError
from eden_core.fingerprint import Fingerprint
from eden_core.mixture import Anchor, MixedOrder

State = dict[str, Any]


@dataclass(frozen=True)
class Restored:
    """What a state says of the dataset that goes on from it.

    Attributes:
        epoch, position: where reading goes on.
        differences: what the data differ in from those of the state, or "".
        notes: what else changes from here on, for the log.
        anchor: where the mixture begins, where there is one.
        before: the epoch that the state was taken in, as epochs are counted now.
        ended: whether that epoch had come to its end, as epochs were counted then.
    """

    epoch: int
    position: int
    differences: str
    notes: tuple[str, ...]
    anchor: Anchor | None
    before: int
    ended: bool = False


def state_of(dataset: EdenDataset, epoch: int, position: int, pitch: int) -> State:
    """Return the state of a run that has read up to a position of an epoch; epochs begin every `pitch` rows.

    It holds `sources`, a list of {source, epoch, consumed, fingerprint, left_out}: without a mixture one, of source 0; with one
    `consumed` counts rows of the source's own epoch and `rows` all that it gave; `row` (of the run), `pitch` and `mixture` say
    where the run stands and how the sources are mixed.
    """
    prints, left_out = dataset.source_fingerprints, str(dataset.omissions)
    if dataset.mixture is None:
        only = {"source": 0, "epoch": epoch, "consumed": position, "fingerprint": str(prints[""]), "left_out": left_out}
        return {"sources": [only]}
    mixture, row = dataset.mixture, epoch * pitch + position
    sources = []
    for name, taken in mixture.taken(row).items():
        epochs, consumed = divmod(taken, len(mixture.order_of[name]))
        known = {"fingerprint": str(prints[name]), "left_out": left_out}
        sources.append({"source": name, "epoch": epochs, "consumed": consumed, "rows": taken, **known})
    begun = {"row": mixture.anchor.row, "taken": dict(mixture.anchor.taken), "plan": mixture.plan}
    return {"sources": sources, "row": row, "epoch": epoch, "pitch": pitch, "mixture": begun}


def restored_state(state: State, dataset: EdenDataset, pitch: int) -> Restored:
    """Compare a state with the dataset that is to go on from it, whose epochs begin every `pitch` rows.

    Raises:
        ConfigurationError: it is no state, or one of a run that was not mixed as this one is.
    """
    saved = _sources_of(state)
    mixture = dataset.mixture
    if (mixture is None) != ("mixture" not in state):
        then, now = ("one source", "a mixture") if mixture is not None else ("a mixture", "one source")
        raise ConfigurationError(
            f"the state is of a run with {then}, and this one has {now}: give sources=[…] in both, if need be a list of one"
        )
    prints = dataset.source_fingerprints
    pairs = [(saved[0 if mixture is None else name], name) for name in prints if mixture is None or name in saved]
    found = [(name, Fingerprint.parse(one["fingerprint"]).differences(prints[name])) for one, name in pairs]
    differences = "".join(f"\nsource {name!r}:{text}" if name and text else text for name, text in found)
    before, now = next(iter(saved.values())).get("left_out", "nothing"), str(dataset.omissions)
    notes = [] if before == now else [f"the run left out {before} until here; from here on it leaves out {now}"]
    if mixture is None:
        return Restored(saved[0]["epoch"], saved[0]["consumed"], differences, tuple(notes), None, saved[0]["epoch"])
    row = int(state["row"])
    anchor, more = _anchor(state, saved, mixture)
    epoch, position = divmod(row, pitch)
    before = state["epoch"] if state["pitch"] == pitch else epoch - (row > 0 and not position)
    return Restored(epoch, position, differences, (*notes, *more), anchor, before, ended=not row % state["pitch"])


def _anchor(state: State, saved: Mapping[Any, State], mixture: MixedOrder) -> tuple[Anchor, list[str]]:
    """Where the mixture goes on: as it was begun, or from here on where it is another one now."""
    begun = state["mixture"]
    if begun["plan"] == mixture.plan:
        return Anchor(begun["row"], begun["taken"]), []
    taken = begun["taken"] | {name: one["rows"] for name, one in saved.items()}  # also of sources that are gone, and may return
    note = f"from row {state['row']} on the sources are mixed as {mixture.plan}; before that as {begun['plan']}"
    return Anchor(state["row"], taken), [note]


def _sources_of(state: State) -> dict[Any, State]:
    found = state.get("sources")
    wanted = {"source", "epoch", "consumed", "fingerprint"}
    if not isinstance(found, list) or not found or not all(isinstance(one, Mapping) and wanted <= set(one) for one in found):
        raise ConfigurationError(f"{state!r:.200} is no state of an EdenLoader; expected what its state_dict() gave")
    return {one["source"]: one for one in found}
