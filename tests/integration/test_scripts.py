"""Users' scripts as they write them, run as processes of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from plain import write_seed_index, write_seed_shard

TRAINING = """
import logging, warnings
warnings.filterwarnings("ignore")
import lightning as pl
import torch
from eden_core import EdenDataModule

print("script started")

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Embedding(256, 256)

    def training_step(self, batch, index):
        losses = torch.nn.functional.cross_entropy(
            self.layer(batch["tokens"]).flatten(0, 1), batch["labels"].flatten(), reduction="none"
        )
        mask = batch["loss_mask"].flatten()
        return (losses * mask).sum() / mask.sum()

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())

data_module = EdenDataModule(
    sequence_db_dir="{directory}",
    train_window_db_path="{directory}/train_windows.db",
    val_window_db_path="{directory}/train_windows.db",
    seq_length=64,
    micro_batch_size={micro},
    global_batch_size={total},
    num_workers=2,
    rc_aug=True,
    use_control_tags=True,
)
trainer = pl.Trainer(
    accelerator="cpu", {trainer}, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, limit_val_batches=2, default_root_dir="{directory}",
)
trainer.fit(Model(), data_module)
print("steps", trainer.global_step)
"""


def run_script(tmp_path, text, prefix=()):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    command = [*prefix, sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_an_unguarded_script_with_workers_runs_once(small, tmp_path):
    text = TRAINING.format(directory=small.directory, trainer="max_steps=3", micro=1, total=4)
    out = run_script(tmp_path, text)
    assert out.count("script started") == 1
    assert "steps 3" in out


def test_ddp_works_with_no_further_flags(small, tmp_path):
    """Lightning starts the second process by running the script again."""
    text = TRAINING.format(directory=small.directory, trainer='devices=2, strategy="ddp", max_epochs=1', micro=2, total=8)
    out = run_script(tmp_path, text)
    assert out.count("steps 10") == 2


def test_a_transform_of_the_users_own_script_works_with_workers(small, tmp_path):
    text = f"""
    from eden_core import EdenDataset, EdenLoader, Transform

    class Nothing(Transform):
        name = "nothing"

        def apply(self, batch, draws):
            return batch

    if __name__ == "__main__":
        dataset = EdenDataset(
            sequence_db_dir="{small.directory}", window_db_path="{small.windows}", seq_length=64, transforms=[Nothing()]
        )
        loader = EdenLoader(dataset, num_workers=1)
        print(sum(1 for _ in loader))
        loader.close()
    """
    assert int(run_script(tmp_path, text)) > 50


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit as on Linux")
def test_2000_shards_train_with_256_open_files(tmp_path):
    lengths = {}
    for i in range(2000):
        name = f"BCR__ECT-S{i}__CT1-1"
        lengths[name] = 60
        write_seed_shard(tmp_path, f"S{i}", {name: "ACGTTGCATG" * 6})
    write_seed_index(tmp_path / "train_windows.db", lengths, 64, 48)
    text = TRAINING.format(directory=tmp_path, trainer="max_epochs=1", micro=16, total=16)
    limited = ("bash", "-c", 'ulimit -n 256; exec "$@"', "bash")
    assert "steps 125" in run_script(tmp_path, text, limited)


def test_a_plain_loop_in_a_forked_process(small, tmp_path):
    """A parent that has read data forks; the child reads on by itself."""
    text = f"""
    import os
    from eden_core import EdenDataset

    dataset = EdenDataset(sequence_db_dir="{small.directory}", window_db_path="{small.windows}", seq_length=64)
    first = dataset[0]["tokens"].tolist()
    child = os.fork()
    same = dataset[0]["tokens"].tolist() == first
    if child == 0:
        os._exit(0 if same else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), same)
    """
    assert run_script(tmp_path, text).split() == ["0", "True"]


def test_interrupting_a_loop_with_workers_takes_a_moment(tmp_path):
    """SIGINT reaches the whole group, as from a terminal, while workers have blocks waiting in their pipes."""
    name = "BCR__ECT-S1__CT1"
    write_seed_shard(tmp_path, "S1", {name: "ACGT" * 500_000})
    windows = write_seed_index(tmp_path / "w.db", {name: 2_000_000}, 8192, 7992)
    (tmp_path / "script.py").write_text(
        textwrap.dedent(f"""
        import time
        from eden_core import EdenDataset, EdenLoader

        options = dict(sequence_db_dir="{tmp_path}", window_db_path="{windows}", seq_length=8192)
        loader = EdenLoader(EdenDataset(**options), num_workers=2)
        next(iter(loader))
        print("reading", flush=True)
        while True:
            for batch in loader:
                time.sleep(0.01)
        """)
    )
    allow = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 - CI may start us with it ignored
    command = [sys.executable, tmp_path / "script.py"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=allow
    )
    assert process.stdout.readline() == b"reading\n"
    time.sleep(1)  # the workers have read ahead
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - started < 4.5


def test_workers_end_with_a_killed_trainer(small, tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent(f"""
        import multiprocessing
        from eden_core import EdenDataset, EdenLoader

        options = dict(sequence_db_dir="{small.directory}", window_db_path="{small.windows}", seq_length=64)
        loader = EdenLoader(EdenDataset(**options), num_workers=2)
        next(iter(loader))
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        while True:
            pass
        """)
    )
    with subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE) as process:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        assert all(is_running(pid) for pid in workers)
        process.kill()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(pid) for pid in workers)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False
