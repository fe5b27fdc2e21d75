"""TokenCounts: a Lightning callback that logs what batches are made of."""

from collections import Counter
from typing import Any

import lightning
from lightning.pytorch.utilities import rank_zero_warn

from eden_core.datamodule import EdenDataModule
from eden_core.errors import ConfigurationError
from eden_core.tensors import TOKEN_COUNTS


class TokenCounts(lightning.Callback):
    """Logs, for each training batch, the shares of its tokens that are padding, masked, ambiguous or soft-masked.

    Shares of padding are of all tokens, the others of the bases. With "source" among the `extra_keys` it also logs how many
    rows of each source this rank read. Rows without any loss weight, though they hold bases, are warned about once, and
    counted at the end of each epoch.

    Args:
        prefix: what the names of the logged values begin with.
    """

    def __init__(self, prefix: str = "data/") -> None:
        self.prefix = prefix
        self._rows: Counter[str] = Counter()
        self._read = self._without = 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the counts of a batch.

        Raises:
            ConfigurationError: the batch has none, since `extra_keys` does not ask for "token_counts".
        """
        if "token_counts" not in batch:
            raise ConfigurationError("TokenCounts needs batches with token_counts: give extra_keys=('token_counts',)")
        counts = batch["token_counts"]
        padded, bases, *kinds = counts.sum(0).tolist()
        values = {"padded": padded / max(1, batch["tokens"].numel())}
        values |= {name: count / max(1, bases) for name, count in zip(TOKEN_COUNTS[2:], kinds, strict=True)}
        if "source" in batch:
            names = self._names(trainer)
            for source in batch["source"].tolist():
                self._rows[names[source] if 0 <= source < len(names) else str(source)] += 1
            values |= {f"rows/{name}": float(count) for name, count in self._rows.items()}
        pl_module.log_dict({f"{self.prefix}{name}": value for name, value in values.items()}, on_step=True, on_epoch=False)
        without = (counts[:, 1] > 0) & (counts[:, 4] >= counts[:, 1])
        if "repeated" in batch:
            without &= ~batch["repeated"]
        self._warn(int(without.sum()), len(counts))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say how many rows had no loss weight."""
        if self._without:
            rank_zero_warn(f"{self._without} of the last {self._read} rows had no loss weight at all")
        self._read = self._without = 0

    def _warn(self, without: int, rows: int) -> None:
        if without and not self._without:
            rank_zero_warn(
                f"{without} of the {rows} rows of a batch have no loss weight at all: see loss_weights and transforms"
            )
        self._without += without
        self._read += rows

    @staticmethod
    def _names(trainer: Any) -> list[str]:
        data = getattr(trainer, "datamodule", None)
        return [source.name for source in data.dataset("train").sources] if isinstance(data, EdenDataModule) else []
