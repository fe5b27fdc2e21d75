import numpy as np
import pytest
import torch
from plain import plain_row, write_seed_index, write_seed_shard
from tokenizers import Tokenizer, models, trainers
from torch.utils.data import DataLoader

from eden_core import EdenDataset, errors, installed_plugins
from eden_core.mixture import Anchor


@pytest.fixture
def rows(small) -> EdenDataset:
    return EdenDataset(**small.options, shuffle=False)


def test_rows_are_the_windows_in_order(small, rows):
    for i, (name, start) in enumerate(small.expected_windows()):
        expected = plain_row(small.sequences[name][start : start + 62], 64)
        for key, value in expected.items():
            assert rows[i][key].tolist() == value, (i, key)


def test_a_row_has_one_dimension(rows):
    assert {key: (value.shape, value.dtype) for key, value in rows[3].items()} == {
        "tokens": ((64,), torch.int64),
        "labels": ((64,), torch.int64),
        "position_ids": ((64,), torch.int64),
        "loss_mask": ((64,), torch.float32),
    }


def test_length_is_the_number_of_windows(small, rows):
    assert len(rows) == len(small.expected_windows())


def test_iteration_ends(rows):
    assert sum(1 for _ in rows) == len(rows)


@pytest.mark.parametrize("row", [-1, 10_000])
def test_a_row_out_of_range_is_an_index_error(rows, row):
    with pytest.raises(IndexError, match=f"row {row} of a dataset of"):
        rows[row]


def test_a_batch_keeps_order_and_repeats(rows):
    batch = rows.batch([5, 2, 5])
    assert [batch["tokens"][i].tolist() for i in range(3)] == [rows[i]["tokens"].tolist() for i in (5, 2, 5)]


def test_locate_says_where_rows_lie(small, rows):
    windows = rows.locate([0, 3])
    expected = [small.expected_windows()[i] for i in (0, 3)]
    assert list(zip(windows.sequence_ids, windows.starts.tolist(), strict=True)) == expected


def test_shuffled_rows_are_each_window_once(small):
    shuffled = EdenDataset(**small.options)
    picked = shuffled.locate(np.arange(len(shuffled))).window_ids
    assert sorted(picked.tolist()) == list(range(len(shuffled)))
    assert picked.tolist() != sorted(picked.tolist())


def test_num_samples_runs_on_over_epochs(small):
    one = EdenDataset(**small.options)
    many = EdenDataset(**small.options, num_samples=3 * len(one))
    assert len(many) == 3 * len(one)
    second = many.locate(np.arange(len(one), 2 * len(one))).window_ids.tolist()
    assert sorted(second) == list(range(len(one)))
    assert second != many.locate(np.arange(len(one))).window_ids.tolist()


def test_it_is_pure(small):
    first, second = (EdenDataset(**small.options, rc_aug=True, seed=3) for _ in range(2))
    order = np.random.default_rng(0).permutation(len(first))
    there = first.batch(np.arange(len(first)))["tokens"][torch.from_numpy(order)]
    assert torch.equal(there, second.batch(order)["tokens"])


def test_another_seed_is_another_order(small):
    first, second = (EdenDataset(**small.options, seed=seed) for seed in (1, 2))
    assert first.locate(range(30)).window_ids.tolist() != second.locate(range(30)).window_ids.tolist()


def test_augmentation_runs_on_training_only(small):
    always = [{"reverse-complement": {"probability": 1.0}}]
    train, validation, plain = (
        EdenDataset(**small.options, split=split, transforms=transforms, shuffle=False)[4]["tokens"].tolist()
        for split, transforms in (("train", always), ("validation", always), ("train", ()))
    )
    assert validation == plain != train


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_dataloader_with_the_default_collate(rows, workers):
    context = "forkserver" if workers else None
    loader = DataLoader(rows, batch_size=4, num_workers=workers, multiprocessing_context=context)
    seen = torch.cat([batch["tokens"] for batch in loader])
    assert torch.equal(seen, rows.batch(range(len(rows)))["tokens"])


def test_collate_fn_takes_the_batch_without_a_copy(rows):
    fetched = rows.__getitems__([1, 2, 3])
    assert rows.collate_fn(fetched) is fetched.batch
    assert fetched[0]["tokens"].data_ptr() == fetched.batch["tokens"].data_ptr()


def test_collate_fn_takes_other_rows_too(rows):
    assert torch.equal(rows.collate_fn([rows[1], rows[2]])["tokens"], rows.batch([1, 2])["tokens"])


def test_a_sampler_of_lists(rows):
    loader = DataLoader(rows, sampler=[[3, 1], [2]], batch_size=None)
    assert [batch["tokens"].shape[0] for batch in loader] == [2, 1]


def test_attention_mask_is_an_expanded_view(small):
    rows = EdenDataset(**small.options, create_attention_mask=True)
    mask = rows.batch([0, 1])["attention_mask"]
    assert (mask.shape, mask.dtype, mask.stride(0)) == ((2, 1, 64, 64), torch.bool, 0)
    assert rows[0]["attention_mask"].shape == (1, 64, 64)
    assert mask[0, 0, 2].tolist() == [False] * 3 + [True] * 61


def test_row_ids_on_request(small):
    batch = EdenDataset(**small.options, extra_keys=("row_ids",)).batch([4, 2])
    assert batch["row_ids"].tolist() == [4, 2]


def test_memory_of_a_batch_that_is_held_is_not_used_again(rows):
    held = [rows.batch([i]) for i in range(25)]
    assert all(torch.equal(batch["tokens"][0], rows[i]["tokens"]) for i, batch in enumerate(held))


def test_open_plugins_serve_as_well_as_names(small, rows):
    registry = installed_plugins()
    store = registry.store("sqlite-shards", str(small.directory))
    index = registry.index("sqlite", str(small.windows))
    assert torch.equal(EdenDataset(store, index, seq_length=64, shuffle=False)[0]["tokens"], rows[0]["tokens"])


def test_rows_are_located_with_the_bases_that_are_there(small, rows):
    windows = rows.locate(range(80))
    ends = (windows.starts + windows.lengths).tolist()
    expected = [min(start + 62, len(small.sequences[name])) for name, start in small.expected_windows()]
    assert ends == expected
    assert set(rows.locate(range(80), measured=False).lengths.tolist()) == {62}


def test_shared_bases_count_once(small):
    rows = EdenDataset(**small.options, count_once=True, shuffle=False)
    counted = {name: np.zeros(len(bases), int) for name, bases in small.sequences.items()}
    masks = rows.batch(range(len(rows)))["loss_mask"].numpy()
    for (name, start), mask in zip(small.expected_windows(), masks, strict=True):
        length = min(62, len(small.sequences[name]) - start)
        counted[name][start : start + length] += mask[:length].astype(int)
    plain = EdenDataset(**small.options, shuffle=False).batch(range(len(rows)))["loss_mask"].numpy()
    assert all(count.max() == 1 for count in counted.values())
    assert masks.sum() < plain.sum()
    for name, bases in small.sequences.items():
        windows = [start for other, start in small.expected_windows() if other == name]
        seen = {base for start in windows for base in range(start, min(start + 62, len(bases)))}
        assert counted[name].sum() == len(seen)


def test_shared_bases_count_once_on_either_strand(small):
    options = {"count_once": True, "shuffle": False}
    plain = EdenDataset(**small.options, **options).batch(range(80))
    turned = EdenDataset(**small.options, **options, transforms=[{"reverse-complement": {"probability": 1}}]).batch(range(80))
    for row, other, labels in zip(plain["loss_mask"], turned["loss_mask"], plain["labels"], strict=True):
        length = int((labels > 64).sum())
        assert row[:length].tolist() == other[:length].flip(0).tolist()


def test_rows_left_out_close_up(small, tmp_path):
    name = small.expected_windows()[0][0]
    (tmp_path / "contigs.txt").write_text(name)
    options = {"skip_rows": [(70, 75)], "exclude_contigs": str(tmp_path / "contigs.txt"), "extra_keys": ("row_ids",)}
    rows = EdenDataset(**small.options, **options, shuffle=False, num_samples=200)
    excluded = [i for i, window in enumerate(small.expected_windows()) if window[0] == name]
    kept = [row for row in range(300) if row % 80 not in excluded and not 70 <= row < 75]
    assert rows.batch(range(200))["row_ids"].tolist() == kept[:200]
    assert len(EdenDataset(**small.options, skip_rows=[(70, 75)])) == 75


def test_contigs_may_be_left_out_from_a_row_on(small, tmp_path):
    name = small.expected_windows()[0][0]
    (tmp_path / "contigs.txt").write_text(name)
    options = {"exclude_contigs": str(tmp_path / "contigs.txt"), "exclude_from": 80, "extra_keys": ("row_ids",)}
    rows = EdenDataset(**small.options, **options, num_samples=150)
    assert rows.batch(range(80))["row_ids"].tolist() == list(range(80))
    assert name not in rows.locate(rows.batch(range(80, 150))["row_ids"]).sequence_ids


def test_fingerprints_differ_with_what_rows_are(small):
    variants = [{}, {"seed": 1}, {"rc_aug": True}, {"case": "keep"}, {"shuffle": False}, {"loss_weights": {"N": 0}}]
    prints = [str(EdenDataset(**small.options, **variant).fingerprint) for variant in variants]
    assert len(set(prints)) == len(variants)
    assert prints[0] == str(EdenDataset(**small.options).fingerprint)


def test_fingerprints_differ_with_the_bases(tmp_path):
    prints = []
    for bases in ("ACGT" * 9, "ACGA" * 9):
        write_seed_shard(tmp_path / bases, "S1", {"chr1": bases})
        index = write_seed_index(tmp_path / bases / "w.db", {"chr1": 36}, 16, 10)
        prints.append(EdenDataset(sequence_db_dir=str(tmp_path / bases), window_db_path=str(index), seq_length=16).fingerprint)
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seq_length": 128}, "built with window_size 64, but window_size 128 is asked for.*--window-size 128 --stride 112"),
        ({"stride": 32}, "built with stride 48, but stride 32 is asked for"),
        ({"window_min_length_threshold": 9}, "--window-min-length-threshold 9"),
        ({"window_size": 32}, "window_size 32 and seq_length 64 differ"),
        ({"split": "valid"}, "expected one of 'train', 'validation'"),
        ({"extra_keys": ("rows",)}, "known keys are row_ids"),
        ({"num_samples": 0}, "at least 1"),
        ({"create_attention_mask": True, "seq_length": 65536}, "takes 4.0 GiB"),
        ({"sequence_db_dir": None}, "needs sequence_db_dir"),
        ({"window_db_path": None}, "needs window_db_path"),
        ({"rc_aug": True, "transforms": ["reverse-complement"]}, "more than once"),
        ({"transforms": [3]}, "is no transform"),
        ({"transforms": "reverse-complement"}, "expected a list, such as"),
        ({"extra_keys": "row_ids"}, "expected a list, such as"),
        ({"loss_weights": 0.5}, "expected weights by letter or class"),
        ({"store": object()}, "expected the name of a store plugin"),
        ({"index": 3}, "expected the name of an index plugin"),
    ],
)
def test_contradictions_are_errors(small, options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        EdenDataset(**(small.options | options))


def test_an_unknown_transform_lists_those_there_are(small):
    with pytest.raises(errors.PluginNotFoundError, match="control-tags, reverse-complement"):
        EdenDataset(**small.options, transforms=["reverse-compliment"])


def test_an_unknown_option_lists_those_there_are(small):
    with pytest.raises(errors.PluginOptionError, match="max_open_files, max_open_contigs"):
        EdenDataset(**small.options, store_options={"max_files": 3})


def test_a_tokenizer_of_many_bases_has_its_own_window_size(small):
    class Pairs:
        pad_id, eos_id = 0, 1

        def tokenize(self, text):
            return [10 + len(text[i : i + 2]) for i in range(0, len(text), 2)]

    rows = EdenDataset(**(small.options | {"seq_length": 33}), tokenizer=Pairs(), window_size=64, shuffle=False)
    long = next(i for i, (name, start) in enumerate(small.expected_windows()) if len(small.sequences[name]) - start >= 64)
    assert rows[long]["tokens"].tolist() == [12] * 32 + [1]


def test_a_bpe_tokenizer_reads_more_bases_than_it_gives_tokens(small):
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    words = [bases.upper() for bases in small.sequences.values()]
    bpe.train_from_iterator(words, trainers.BpeTrainer(vocab_size=64, special_tokens=["<unk>", "<pad>", "</s>"]))
    rows = EdenDataset(**(small.options | {"seq_length": 48}), tokenizer=bpe, window_size=64, shuffle=False)
    for i, (name, start) in enumerate(small.expected_windows()):
        ids = bpe.encode(small.sequences[name][start : start + 64].upper()).ids[:47]
        expected = [*ids, 2, *[1] * (47 - len(ids))]
        assert rows[i]["tokens"].tolist() == expected
        assert rows[i]["loss_mask"].sum() == len(ids) - 1  # without bos the first token is no label


def test_rows_that_tags_leave_too_short_for_the_stride_are_warned_about(tmp_path):
    write_seed_shard(tmp_path, "S1", {"BCR__ECT-S1__CT1": "ACGT" * 50})
    index = write_seed_index(tmp_path / "w.db", {"BCR__ECT-S1__CT1": 200}, 64, 60)
    with pytest.warns(errors.UnreadBasesWarning, match="read 51 bases, .* take 13, and windows start every 60"):
        EdenDataset(sequence_db_dir=str(tmp_path), window_db_path=str(index), seq_length=64, use_control_tags=True)


def test_numpy_numbers_are_numbers(small, rows):
    same = EdenDataset(**(small.options | {"seq_length": np.int64(64)}), shuffle=False, seed=np.int64(42))
    assert same.fingerprint == rows.fingerprint
    assert torch.equal(same[np.int64(3)]["tokens"], rows[torch.tensor(3)]["tokens"])


@pytest.mark.parametrize("numbers", [[1.5], [True, False]])
def test_rows_are_numbered_by_integers(rows, numbers):
    with pytest.raises(errors.ConfigurationError, match="numbered by integers"):
        rows.batch(numbers)


@pytest.mark.parametrize("options", [{"seq_length": "64"}, {"seq_length": -1}, {"seed": 1.5}])
def test_numbers_of_the_wrong_kind(small, options):
    with pytest.raises(errors.ConfigurationError, match="expected an integer"):
        EdenDataset(**(small.options | options))


def test_an_index_that_was_built_again_is_read_again(tmp_path):
    write_seed_shard(tmp_path, "S1", {"chr1": "ACGT" * 50})
    lengths = []
    for stride in (60, 30):
        (tmp_path / "w.db").unlink(missing_ok=True)
        index = write_seed_index(tmp_path / "w.db", {"chr1": 200}, 64, stride)
        lengths.append(len(EdenDataset(sequence_db_dir=str(tmp_path), window_db_path=str(index), seq_length=64)))
    assert lengths == [3, 5]


def test_separators_between_segments_count_as_tokens(small):
    options = small.options | {"seq_length": 256, "packing": "concat", "separate_segments": True}
    whole = EdenDataset(**options, extra_keys=("token_counts",)).batch([0])
    trimmed = EdenDataset(**options, pad_to_multiple_of=1).batch([0])
    assert trimmed["tokens"][0].tolist() == [token for token in whole["tokens"][0].tolist() if token != 1]
    assert whole["token_counts"][0, 0] == (whole["tokens"] == 1).sum()


def test_no_rows_to_collate_is_an_error_of_the_user(rows):
    with pytest.raises(errors.ConfigurationError, match="empty list of rows"):
        rows.collate_fn([])


def test_a_dataset_without_a_mixture_cannot_go_on_with_one(rows):
    with pytest.raises(errors.ConfigurationError, match="mixes no sources"):
        rows.continue_mixture(Anchor())
