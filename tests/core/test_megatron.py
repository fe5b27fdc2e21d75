import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import ranks
import torch
from jobs.megatron_ranks import digest, virtual_chunks

from eden_core import EdenDataset, errors
from eden_core.ledger import read_ledger
from eden_core.megatron import EdenDatasetProvider, collate_for_bridge, packed_seq_params

SAMPLES = 200
FOUR = {"tp": {"tp": 2}, "cp": {"cp": 2, "masks": True}, "pp": {"pp": 2}, "tp and pp": {"tp": 2, "pp": 2}}
EIGHT = {
    "tp and cp": {"tp": 2, "cp": 2},
    "four stages": {"pp": 4},
    "all": {"tp": 2, "cp": 2, "pp": 2},
    "packed": {"tp": 2, "cp": 2, "packing": "concat"},
}


def settings(small, run_dir="", **options) -> dict:
    return {
        "sequence_db_dir": str(small.directory),
        "train_window_db_path": str(small.windows),
        "val_window_db_path": str(small.windows),
        "seq_length": 64,
        "dataset_options": {"rc_aug": True, "use_control_tags": True} | options,
        "run_dir": str(run_dir),
    }


def context(train=SAMPLES, valid=0, test=0, **further) -> SimpleNamespace:
    return SimpleNamespace(train_samples=train, valid_samples=valid, test_samples=test, **further)


@pytest.fixture(scope="module")
def found(small, tmp_path_factory):
    """Layout -> what each process of it read."""
    run_dir = tmp_path_factory.mktemp("megatron")
    four = ranks.run("jobs.megatron_ranks:layouts", 4, cases=FOUR, provider=settings(small, run_dir), samples=SAMPLES)
    eight = ranks.run("jobs.megatron_ranks:layouts", 8, cases=EIGHT, provider=settings(small), samples=SAMPLES)
    by_layout = {name: [process[name] for process in four] for name in FOUR}
    return by_layout | {name: [process[name] for process in eight] for name in EIGHT} | {"run_dir": run_dir}


@pytest.mark.parametrize("name", [*FOUR, *EIGHT])
def test_peers_read_identical_batches_and_data_parallel_ranks_their_own(found, name):
    by_rank: dict[int, list] = {}
    for process in found[name]:
        if process["batches"]:
            by_rank.setdefault(process["data"][0], []).append(process["batches"])
    assert len(by_rank) == found[name][0]["data"][1]
    for peers in by_rank.values():
        assert all([b["all"] for b in peer] == [b["all"] for b in peers[0]] for peer in peers)
    seen = [b["all"] for peers in by_rank.values() for b in peers[0]]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("name", [*FOUR, *EIGHT])
def test_the_ranks_together_read_the_global_batches_in_order(found, small, name):
    ranks_there = found[name][0]["data"][1]
    first_of_rank = {p["data"][0]: p["batches"] for p in found[name] if p["batches"]}
    whole = EdenDataset(
        sequence_db_dir=str(small.directory), window_db_path=str(small.windows), seq_length=64, rc_aug=True,
        use_control_tags=True, num_samples=SAMPLES, create_attention_mask=bool((FOUR | EIGHT)[name].get("masks")),
        packing=(FOUR | EIGHT)[name].get("packing", "none"),
    )  # fmt: skip
    samples = [first_of_rank[rank][i]["samples"] for i in range(6) for rank in range(ranks_there)]
    assert sum(samples, []) == list(range(len(samples) * 2))
    for rank, batches in first_of_rank.items():
        assert [b["all"] for b in batches] == [digest(whole.batch(b["samples"])) for b in batches], rank


@pytest.mark.parametrize("name", ["cp", "tp and cp", "all"])
def test_context_parallel_ranks_share_each_row(found, name):
    parts = {}
    for process in found[name]:
        if process["batches"]:
            parts.setdefault(process["data"][0], {}).setdefault(tuple(process["positions"]), []).append(process)
    for of_one_rank in parts.values():
        assert sorted(sum(map(list, of_one_rank), [])) == list(range(64))
        assert all(process["shapes"]["tokens"] == [2, 32] for group in of_one_rank.values() for process in group)
        assert all(len({p["batches"][0]["part"] for p in group}) == 1 for group in of_one_rank.values())


def test_attention_masks_are_shared_too(found):
    assert all(process["shapes"]["attention_mask"] == [2, 1, 32, 64] for process in found["cp"])


def test_middle_stages_need_no_data(found):
    assert [bool(process["batches"]) for process in found["four stages"]] == [True] * 2 + [False] * 4 + [True] * 2


def test_each_start_is_in_the_ledger_once(found):
    starts = read_ledger(found["run_dir"])
    assert [start.data_parallel_size for start in starts] == [2, 2, 2, 1]
    assert {(start.kind, start.micro_batch_size, start.world_size) for start in starts} == {("samples", 2, 4)}
    assert starts[0].global_batch_size == 8


def test_peers_that_would_read_different_batches_all_stop(small):
    told = ranks.run("jobs.megatron_ranks:differing", 2, provider=settings(small))
    assert all("RankMismatchError" in message and "read different batches" in message for message in told)


def test_building_for_each_chunk_of_a_virtual_pipeline_is_cheap(small):
    assert min(virtual_chunks(settings(small), 5)[1:]) < 0.1


def test_as_many_samples_as_the_loop_asks_for(small):
    train, validation, test = EdenDatasetProvider(**settings(small)).build_datasets(context(1000, 170, 5))
    assert (len(train), len(validation), test) == (1000, 170, None)
    assert validation.sources[0].transforms[0].name == "control-tags"


def test_a_split_without_an_index(small):
    provider = EdenDatasetProvider(**settings(small) | {"train_window_db_path": None})
    with pytest.raises(errors.ConfigurationError, match="there is no index of train windows: give"):
        provider.build_datasets(context())


def test_a_split_without_an_index_that_is_asked_for_is_logged(small, caplog):
    EdenDatasetProvider(**settings(small)).build_datasets(context(10, 0, 5))
    assert "5 test samples are asked for, and there is no index" in caplog.text


@pytest.mark.parametrize("name", ["seq_length", "rc_agu"])
def test_an_option_that_the_provider_cannot_pass_on(small, name):
    with pytest.raises(errors.ConfigurationError, match=f"dataset_options has {name}; expected arguments of EdenDataset"):
        EdenDatasetProvider(**settings(small) | {"dataset_options": {name: 3}})


def test_data_dir_supplies_what_is_not_given(small):
    provider = EdenDatasetProvider(data_dir=str(small.directory), seq_length=64, run_dir="")
    train, validation, _ = provider.build_datasets(context(10, 10))
    assert (len(train), validation) == (10, None)


def test_the_run_s_tokenizer_is_used_and_probed_once(small):
    class Tokenizer:
        eod, calls = 7, 0

        def text_to_ids(self, text):
            Tokenizer.calls += 1
            return [ord(letter) + 1000 for letter in text]

    provider = EdenDatasetProvider(**settings(small))
    train = provider.build_datasets(context(tokenizer=(tokenizer := Tokenizer())))[0]
    assert int(train[0]["tokens"].max()) > 1000
    calls = Tokenizer.calls
    provider.build_datasets(context(tokenizer=tokenizer))
    assert Tokenizer.calls == calls


def test_a_restart_with_other_data_stops_and_prints_both_sides(small, tmp_path):
    EdenDatasetProvider(**settings(small, tmp_path)).build_datasets(context())
    other = settings(small, tmp_path, seed=7)
    with pytest.raises(errors.ConfigurationError, match=r"(?s)changes the order: seed was 42, is 7.*on_mismatch='warn'"):
        EdenDatasetProvider(**other).build_datasets(context())
    with pytest.warns(UserWarning, match="seed was 42, is 7"):
        EdenDatasetProvider(**other, on_mismatch="warn").build_datasets(context())
    EdenDatasetProvider(**settings(small, tmp_path, seed=9), consumed_samples=0).build_datasets(context())
    assert [start.seed for start in read_ledger(tmp_path)] == [42, 7, 9]


def test_more_samples_are_no_other_data(small, tmp_path):
    for samples in (100, 5000):
        EdenDatasetProvider(**settings(small, tmp_path)).build_datasets(context(samples))
    assert [start.epoch_rows for start in read_ledger(tmp_path)] == [100, 5000]


def test_an_unknown_way_to_treat_a_mismatch():
    with pytest.raises(errors.ConfigurationError, match="'error' or 'warn'"):
        EdenDatasetProvider(on_mismatch="ignore")


def test_loader_settings_are_those_of_megatron_bridge():
    provider = EdenDatasetProvider(num_workers=3)
    assert (provider.dataloader_type, provider.num_workers, provider.persistent_workers) == ("single", 3, False)


def test_a_plain_data_loader_takes_its_rows(small):
    train = EdenDatasetProvider(**settings(small)).build_datasets(context())[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (batch,) = torch.utils.data.DataLoader(train, batch_sampler=[[0, 1]])
    assert torch.equal(batch["tokens"], train.batch([0, 1])["tokens"])


@pytest.mark.parametrize(("config", "expected"), [("class DatasetProvider: pass", "True"), ("import no_such_thing", "False")])
def test_it_is_a_provider_of_megatron_bridge_where_that_can_be_imported(tmp_path, config, expected):
    """Bridge itself imports only where Transformer Engine does, so a stand-in of its one class takes its place."""
    place = tmp_path / "megatron" / "bridge" / "training"
    place.mkdir(parents=True)
    (tmp_path / "megatron" / "bridge" / "__init__.py").touch()
    (place / "config.py").write_text(f"{config}\n")
    script = """
import os
import subprocess
import sys
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from eden_core.megatron import EdenDatasetProvider
print(any(base.__name__ == "DatasetProvider" for base in EdenDatasetProvider.__mro__))
print(any("Megatron-Bridge cannot be imported" in str(warning.message) for warning in seen))
"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [expected, {"True": "False", "False": "True"}[expected]], done.stderr


@pytest.fixture(scope="module")
def packed(small):
    def made(**options):
        return EdenDataset(**small.options, packing="thd", **options)

    return made


def test_packed_rows_become_megatron_core_s_parameters(packed):
    data = packed(pad_segments_to=4)
    params = packed_seq_params(data.batch([3]))
    assert params.qkv_format == "thd"
    assert params.cu_seqlens_q_padded[-1] == 64
    assert (params.cu_seqlens_q_padded % 4 == 0).all()
    lengths, spaces = params.cu_seqlens_q.diff(), params.cu_seqlens_q_padded.diff()
    assert (lengths <= spaces).all()
    assert params.max_seqlen_q == spaces.max()
    assert packed_seq_params(packed().batch([3])).cu_seqlens_q_padded is None


def test_packed_parameters_are_of_one_row(small, packed):
    for batch in (packed().batch([0, 1]), EdenDataset(**small.options).batch([0])):
        with pytest.raises(errors.ConfigurationError, match="a batch of one row"):
            packed_seq_params(batch)


@pytest.mark.parametrize("multiple", [1, 4])
def test_for_bridge_bounds_have_its_names_and_an_end(packed, multiple):
    data = packed(pad_segments_to=multiple)
    batch, found = data.batch([0, 1]), collate_for_bridge(data.__getitems__([0, 1]))
    padded = batch["cu_seqlens_padded" if multiple > 1 else "cu_seqlens"]
    assert ("cu_seqlens_unpadded" in found) == (multiple > 1)
    assert "cu_seqlens_padded" not in found
    for row, end in enumerate(found["cu_seqlens_argmin"][:, 0].tolist()):
        assert found["cu_seqlens"][row, end] == -1
        assert found["cu_seqlens"][row, :end].tolist() == [bound for bound in padded[row].tolist() if bound >= 0]
    assert found["max_seqlen"].tolist() == batch["max_seqlen"][:, None].tolist()


def test_sources_of_a_provider_are_those_of_each_split(small):
    place = {"sequence_db_dir": str(small.directory), "train_window_db_path": str(small.windows)}
    sources = [
        {"name": "a", "weight": 1, **place},
        {"name": "b", "weight": 1, "val_window_db_path": str(small.windows), **place},
    ]
    provider = EdenDatasetProvider(seq_length=64, run_dir="", dataset_options={"sources": sources})
    train, validation, _ = provider.build_datasets(context(100, 20, 0))
    assert [source.name for source in train.sources] == ["a", "b"]
    assert [source.name for source in validation.sources] == ["b"]
