"""Packed and mixed rows: the model computes what it would compute row by row, and runs go on as they do without packing."""

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import ranks
import torch
from jobs.training import TinyGPT, digests_of, global_batches
from plain import write_seed_index, write_seed_shard

from eden_core import EdenDataModule, EdenDataset, EdenLoader
from eden_core.ledger import RunStart, read_ledger
from eden_core.replay import dataset_of, replay_step

SEQ_LENGTH = 64
PACKINGS = [
    {"packing": "concat"},
    {"packing": "thd", "pad_segments_to": 4},
    {"packing": "thd", "pack_by": "sample"},
    {"packing": "concat", "pack_by": "sample", "split_windows": True},
]


@pytest.fixture(scope="module")
def genomes(tmp_path_factory) -> dict[str, Path]:
    """Three folders of metagenome-like contigs, mostly much shorter than a row."""
    folders, draw = {}, random.Random(5)
    for name, contigs in (("bacteria", 40), ("viruses", 15), ("plasmids", 25)):
        folder, lengths = tmp_path_factory.mktemp(name), {}
        for sample in range(2):
            sizes = [min(300, max(4, round(draw.lognormvariate(3, 1)))) for _ in range(contigs)]
            prefix = f"{name.upper()}__X-{name}{sample}__c"
            sequences = {f"{prefix}{i:02}": "".join(draw.choices("ACGT", k=size)) for i, size in enumerate(sizes)}
            write_seed_shard(folder, f"{name}{sample}", sequences)
            lengths |= {contig: len(bases) for contig, bases in sequences.items()}
        for split in ("train", "validation"):
            write_seed_index(folder / f"{split}_windows.db", lengths, SEQ_LENGTH, 40)
        folders[name] = folder
    return folders


def dataset(folder: Path, **options) -> EdenDataset:
    return EdenDataset(
        sequence_db_dir=str(folder), window_db_path=str(folder / "train_windows.db"), seq_length=SEQ_LENGTH, **options
    )


def mixture(genomes, weights, **options) -> EdenDataset:
    entries = [
        {"name": name, "sequence_db_dir": str(genomes[name]), "window_db_path": str(genomes[name] / "train_windows.db"), **more}
        for name, more in weights.items()
    ]
    return EdenDataset(seq_length=SEQ_LENGTH, sources=entries, extra_keys=("row_ids", "source"), **options)


def taken(data: EdenDataset, rows) -> Counter:
    """(source, epoch, window) of rows, and how often each comes."""
    picks = data.picks(rows)
    names = [source.name for source in data.sources]
    keys = (picks.sources.tolist(), picks.epochs.tolist(), picks.window_ids.tolist())
    return Counter((names[source], epoch, window) for source, epoch, window in zip(*keys, strict=True))


def losses(model, batch, mask) -> torch.Tensor:
    """Loss of each token, float [B, S], where `mask` says which places a token must not see."""
    hidden = model.letters(batch["tokens"]) + model.places(batch["position_ids"])
    for layer in model.layers:
        hidden = layer(hidden, src_mask=mask.repeat_interleave(2, 0))
    logits = model.head(hidden)
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none")
    return loss * batch["loss_mask"]


@pytest.mark.parametrize("further", [{}, {"pad_segments_to": 4}, {"pack_by": "sample"}], ids=str)
def test_a_packed_forward_pass_gives_the_losses_of_the_unpacked_ones(genomes, further):
    torch.manual_seed(1)
    model, options = (
        TinyGPT().eval(),
        {"rc_aug": True, "use_control_tags": True, "shuffle": False, "create_attention_mask": True},
    )
    alone = dataset(genomes["viruses"], **options)
    batch = alone.batch(range(len(alone)))
    expected = losses(model, batch, batch["attention_mask"][:, 0]).sum(1)
    packed = dataset(genomes["viruses"], packing="thd", **options | further)
    batch, picks = packed.batch(range(len(packed))), packed.picks(range(len(packed)))
    found = losses(model, batch, batch["attention_mask"][:, 0])
    bounds = batch.get("cu_seqlens_padded", batch["cu_seqlens"])
    number = np.arange(len(picks)) - np.searchsorted(picks.rows, picks.rows)
    for window, row, i in zip(picks.window_ids.tolist(), picks.rows.tolist(), number.tolist(), strict=True):
        segment = found[row, bounds[row, i] : bounds[row, i + 1]]
        assert torch.isclose(segment.sum(), expected[window], rtol=1e-4, atol=1e-4)
    assert torch.isclose(found.sum(), expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_every_base_is_read_once_an_epoch(genomes, packing):
    data = dataset(genomes["bacteria"], **packing)
    for epoch in range(3):
        picks = data.picks(np.arange(len(data)) + epoch * len(data))
        windows = data.reader.measured(picks)
        read = Counter(
            (name, base) for name, start, length in zip(windows.sequence_ids, windows.starts, windows.lengths, strict=True)
            for base in range(start, start + length)
        )  # fmt: skip
        alone = dataset(genomes["bacteria"], shuffle=False)
        rows = alone.locate(range(len(alone)))
        expected = Counter(
            (name, base) for name, start, length in zip(rows.sequence_ids, rows.starts, rows.lengths, strict=True)
            for base in range(start, start + length)
        )  # fmt: skip
        assert read == expected


@pytest.mark.parametrize("packing", [{}, *PACKINGS], ids=str)
@pytest.mark.parametrize(("ranks_after", "micro"), [(2, 3), (8, 1)])
def test_packed_and_mixed_rows_go_on_with_other_ranks_in_the_middle_of_an_epoch(genomes, packing, ranks_after, micro):
    weights = {"bacteria": {"weight": 5}, "viruses": {"weight": 3, "rc_aug": True}, "plasmids": {"weight": 1}}
    data = mixture(genomes, weights, **packing)
    first = EdenLoader(data, micro_batch_size=2, global_batch_size=8, data_parallel=(0, 4), num_workers=0)
    batches = iter(first)
    for _ in range(3):
        next(batches)
    state = first.state_dict()
    rows, digests = [], {}
    for rank in range(ranks_after):
        loader = EdenLoader(
            mixture(genomes, weights, **packing), micro_batch_size=micro, data_parallel=(rank, ranks_after), num_workers=0
        )
        loader.load_state_dict(state)
        for batch in loader:
            rows += batch["row_ids"].tolist()
            digests |= dict(zip(batch["row_ids"].tolist(), batch["tokens"], strict=True))
    left = len(data) - 24
    assert sorted(rows) == list(range(24, 24 + left - left % (micro * ranks_after)))
    assert all(torch.equal(tokens, data.batch([row])["tokens"][0]) for row, tokens in digests.items())


@pytest.mark.parametrize("packing", [{}, {"packing": "thd"}], ids=str)
def test_other_weights_and_sources_on_resume_repeat_and_lose_nothing(genomes, packing):
    given = [
        {"bacteria": {"weight": 3}, "plasmids": {"weight": 2}},
        {"bacteria": {"weight": 1}, "plasmids": {"weight": 5}},
        {"viruses": {"weight": 1}, "bacteria": {"weight": 1}},
        {"plasmids": {"weight": 1}, "bacteria": {"weight": 2}},
    ]
    whole, state = Counter(), None
    for weights, steps in zip(given, (5, 3, 4, 40), strict=True):
        loader = EdenLoader(mixture(genomes, weights, **packing), num_workers=0)
        if state is not None:
            loader.load_state_dict(state)
        passes = (batch for _ in range(steps) for batch in loader)  # as many epochs as it takes
        rows = [row for batch in islice(passes, steps) for row in batch["row_ids"].tolist()]
        whole += taken(loader.dataset, rows)
        state = loader.state_dict()
    assert set(whole.values()) == {1}
    for name in ("bacteria", "plasmids"):
        by_epoch = Counter(epoch for source, epoch, _ in whole if source == name)
        windows = {window for source, _, window in whole if source == name}
        assert all(by_epoch[epoch] == len(windows) for epoch in range(max(by_epoch)))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_masked_is_the_same_on_all_ranks_and_workers(genomes, workers):
    options = {"objective": {"mlm": {"mean_span": 3}}, "packing": "thd", "extra_keys": ("row_ids",)}
    whole = dataset(genomes["bacteria"], **options)
    for rank in range(2):
        loader = EdenLoader(
            dataset(genomes["bacteria"], **options), micro_batch_size=2, data_parallel=(rank, 2), num_workers=workers
        )
        for batch in loader:
            for key, values in whole.batch(batch["row_ids"]).items():
                assert torch.equal(values, batch[key]), key
        loader.close()


def test_replay_tells_the_windows_of_packed_and_mixed_rows(genomes, tmp_path):
    weights = {"bacteria": {"weight": 5}, "viruses": {"weight": 3, "use_control_tags": True}}
    data = mixture(genomes, weights, packing="thd")
    first = EdenLoader(data, micro_batch_size=2, num_workers=0)
    batches = iter(first)
    for _ in range(4):
        next(batches)
    goes_on = mixture(genomes, {"viruses": {"weight": 1, "use_control_tags": True}}, packing="thd")
    resumed = EdenLoader(goes_on, micro_batch_size=2, num_workers=0)
    resumed.load_state_dict(first.state_dict())
    start = RunStart.of_loader(resumed, 4)
    start.append(tmp_path)
    (read,) = read_ledger(tmp_path)
    replayed = replay_step(read, 6, dataset_of(read))
    rows = next(batch for i, batch in enumerate(resumed) if i == 2)["row_ids"].tolist()
    picks = resumed.dataset.picks(rows)
    assert [row.row for row in replayed.rows] == [rows[i] for i in picks.rows.tolist()]
    windows = resumed.dataset.locate(rows)
    assert [(row.contig, row.start, row.length) for row in replayed.rows] == list(
        zip(windows.sequence_ids, windows.starts.tolist(), windows.lengths.tolist(), strict=True)
    )


def test_a_packed_and_mixed_run_of_four_ranks_goes_on_with_two(genomes, tmp_path):
    weights = {"bacteria": 6, "viruses": 3, "plasmids": 1}
    sources = [{"data_dir": str(genomes[name]), "name": name, "weight": weight} for name, weight in weights.items()]
    options = {"total": 8, "packing": "thd", "sources": sources}

    def train(size, run, **further):
        ranks.run("jobs.training:train", size, data_dir=None, run=str(run), **options | further)

    train(4, tmp_path / "run", steps=9, micro=2, save_every=9)
    train(2, tmp_path / "run", steps=25, micro=1, workers=1, resume=True, log="after")
    found = global_batches(tmp_path / "run" / "log") | global_batches(tmp_path / "run" / "after")
    unbroken = EdenDataModule(
        seq_length=SEQ_LENGTH, micro_batch_size=8, num_workers=0, packing="thd", sources=sources, rc_aug=True,
        extra_keys=("row_ids",),
    )  # fmt: skip
    loader = unbroken.train_dataloader()
    batches = islice((batch for _ in range(25) for batch in loader), 25)  # pass after pass
    assert found == {step: [*zip(b["row_ids"].tolist(), digests_of(b), strict=True)] for step, b in enumerate(batches)}
