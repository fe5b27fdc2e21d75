import warnings

import lightning
import pytest
import torch

from eden_core import EdenDataModule, TokenCounts, errors


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, index):
        return self.weight * batch["loss_mask"].sum()

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def logged(small, tmp_path, **options) -> tuple[dict, str]:
    """What is logged last, and what is warned about."""
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=3, callbacks=[TokenCounts()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, default_root_dir=tmp_path,
    )  # fmt: skip
    place = {"sequence_db_dir": str(small.directory), "train_window_db_path": str(small.windows)}
    defaults = {"seq_length": 64, "micro_batch_size": 4, "num_workers": 0, "extra_keys": ("token_counts",), "run_dir": ""}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer.fit(Model(), EdenDataModule(**place | defaults | options))
    values = {name: float(value) for name, value in trainer.logged_metrics.items()}
    return values, "\n".join(str(warning.message) for warning in seen)


def test_shares_of_a_batch_are_logged(small, tmp_path):
    values, _ = logged(small, tmp_path, loss_weights={"ambiguous": 0})
    assert values["data/masked"] == values["data/ambiguous"] > 0
    assert 0.2 < values["data/soft_masked"] < 0.7
    assert 0 <= values["data/padded"] < 1


def test_rows_of_each_source_are_counted(small, tmp_path):
    place = {"sequence_db_dir": str(small.directory), "train_window_db_path": str(small.windows)}
    sources = [{"name": "a", "weight": 3, **place}, {"name": "b", "weight": 1, **place}]
    values, _ = logged(small, tmp_path, sources=sources, extra_keys=("token_counts", "source"))
    assert (values["data/rows/a"], values["data/rows/b"]) == (9, 3)


def test_rows_without_any_loss_weight_are_warned_about(small, tmp_path):
    nothing = dict.fromkeys("ACGTacgt", 0) | {"ambiguous": 0}
    assert "4 of the 4 rows of a batch have no loss weight at all" in logged(small, tmp_path, loss_weights=nothing)[1]
    assert "no loss weight" not in logged(small, tmp_path)[1]


def test_batches_without_counts(small, tmp_path):
    with pytest.raises(errors.ConfigurationError, match="give extra_keys="):
        logged(small, tmp_path, extra_keys=())
