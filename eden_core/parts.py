"""What reads the rows of a dataset, made from its arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.assembly import chosen_objective, whole_number
from eden_core.errors import ConfigurationError
from eden_core.fingerprint import Fingerprint
from eden_core.interfaces import Objective
from eden_core.layout import Layout
from eden_core.mixture import MixedOrder
from eden_core.omissions import Omissions, windows_of_contigs
from eden_core.order import EpochOrder, Order, PrunedOrder
from eden_core.patience import Patience
from eden_core.planning import Packing
from eden_core.reader import BatchReader
from eden_core.segments import SegmentLayout
from eden_core.shuffling import Shuffle
from eden_core.source import Source
from eden_core.sources import SourceBuilder, mixed, source_settings
from eden_core.vocabulary import Vocabulary

LAYOUT_ARGUMENTS = ("include_bos", "include_eos", "case", "loss_weights", "invalid_bases")
"""arguments of a dataset that its layout takes as they are"""


@dataclass(frozen=True, eq=False)
class Parts:
    """What reads the rows of a dataset.

    Attributes:
        sources: stores and indexes.
        orders: how the windows of each source make rows, by the source's name.
        mixture: how rows are dealt to the sources; None where there is one.
        packing: how windows share rows.
        layout: lays them out.
        objective: what is predicted.
        left_out: int64, the windows of excluded contigs, for each source; empty where none are.
        left_out_from: row of the run from which on they are left out.
        skip_rows: ranges of rows that are left out.
        seed, shuffle: of the orders.
        settings: what else decides the bytes, by name.
    """

    sources: tuple[Source, ...]
    orders: Mapping[str, Order]
    mixture: MixedOrder | None
    packing: Packing
    layout: Layout
    objective: Objective
    left_out: Sequence[NDArray[np.int64]]
    left_out_from: int
    skip_rows: Sequence[Sequence[int]]
    seed: int
    shuffle: Shuffle
    settings: Mapping[str, object]

    @property
    def order(self) -> Order:
        """How windows make rows, apart from contigs that are excluded."""
        return self.mixture or next(iter(self.orders.values()))

    @property
    def omissions(self) -> Omissions:
        """Which rows are left out."""
        return Omissions(self.order, self.skip_rows, self.left_out, self.left_out_from)

    @property
    def reader(self) -> BatchReader:
        """What reads the rows."""
        order = self.order
        if len(self.left_out) and not isinstance(order, EpochOrder):
            order = PrunedOrder(order, self.left_out, self.left_out_from)
        return BatchReader(order, self.sources, self.layout, self.objective, self.seed)

    def fingerprints(self) -> dict[str, Fingerprint]:
        """Return all that decides which bytes a row of each source is, by the source's name; "" where there is one."""
        found = {}
        for (name, order), source in zip(self.orders.items(), self.sources, strict=True):
            ordering: dict[str, object] = {"seed": self.seed, "shuffle": self.shuffle, "windows": len(source.index)}
            if type(order) is not EpochOrder:
                ordering |= {"packing": self.packing, "rows": order.fingerprint()}
            content = {**source.identity(), "tokenizer": self.layout.vocabulary.name, **self.settings}
            texts = ({key: str(value) for key, value in part.items()} for part in (ordering, content))
            found[name] = Fingerprint(*texts)
        return found


def parts_of(arguments: Mapping[str, Any], *, shuffle: Shuffle) -> Parts:
    """Open what the arguments of an `EdenDataset` name.

    Raises:
        ConfigurationError: arguments that contradict each other, an index, or the tokenizer.
    """
    get = arguments.__getitem__
    packing = Packing(
        get("packing"),
        get("pack_by"),
        whole_number("pad_segments_to", get("pad_segments_to")),
        bool(get("separate_segments")),
        bool(get("split_windows")),
    )
    if packing.kind == "thd" and get("pad_to_multiple_of") is not None:
        raise ConfigurationError("pad_to_multiple_of has no meaning with packing='thd', whose cu_seqlens cover whole rows")
    vocabulary, seed, seq_length = Vocabulary.of(get("tokenizer")), int(get("seed")), int(get("seq_length"))
    if packing.separate and vocabulary.sep is None:
        raise ConfigurationError(f"separate_segments needs a sep token, which tokenizer {vocabulary.name} lacks")
    if get("count_once") and vocabulary.table is None:
        raise ConfigurationError(f"count_once needs one token a base, which tokenizer {vocabulary.name} does not give")
    if "token_counts" in get("extra_keys") and vocabulary.table is None:
        raise ConfigurationError(f"token_counts needs one token a base, which tokenizer {vocabulary.name} does not give")
    objective = chosen_objective(get("objective")).bind(vocabulary)
    options = {name: get(name) for name in LAYOUT_ARGUMENTS}
    layout = Layout(vocabulary, seq_length, **options)
    training = get("split") == "train"
    patience = Patience(get("on_read_error"), get("read_warning_seconds"))
    builder = SourceBuilder(
        layout,
        packing,
        seq_length,
        seed,
        shuffle,
        augment=training,
        patience=patience,
        read_threads=whole_number("read_threads", get("read_threads"), least=1),
        count_once=bool(get("count_once")),
    )
    settings = source_settings(arguments, get("sources"))
    sources = tuple(builder.source(one) for one in settings)
    orders = {one.name: builder.order(one, source) for one, source in zip(settings, sources, strict=True)}
    mixture = None
    if get("sources"):
        weighing = {"weights_in": get("weights_in"), "schedule": get("schedule")}
        mixture = mixed(orders, settings, sources, **weighing, natural=not training)
    excluded = get("exclude_contigs")
    left_out = () if excluded is None else windows_of_contigs([source.index for source in sources], excluded)
    if len(left_out) and all(some.size == len(source.index) for some, source in zip(left_out, sources, strict=True)):
        raise ConfigurationError("every window is left out: exclude_contigs names all contigs of the index")
    several = bool(packing) or (mixture is not None and len(left_out) > 0)
    if several or not (objective.shifted and objective.predicts_all):
        layout = SegmentLayout(
            vocabulary,
            seq_length,
            pad_segments_to=packing.pad_segments_to,
            separate=packing.separate,
            restart=packing.kind == "thd",
            most_segments=max(order.most_windows for order in orders.values()),
            shifted=objective.shifted,
            **options,
        )
    weights = sorted((letter, float(weight)) for letter, weight in (get("loss_weights") or {}).items())
    flags = {name: bool(get(name)) for name in ("include_bos", "include_eos", "count_once")}
    decided = {"seq_length": seq_length, **flags, "case": get("case"), "loss_weights": weights}
    decided |= {"invalid_bases": get("invalid_bases"), "objective": objective.fingerprint()}
    left_out_from = whole_number("exclude_from", get("exclude_from"), least=0)
    return Parts(
        sources, orders, mixture, packing, layout, objective, left_out, left_out_from, get("skip_rows"), seed, shuffle, decided
    )
