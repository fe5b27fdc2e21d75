import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from plain import SHARED, read_genome, write_seed_index, write_seed_shard

import eden_core

SEQ_LENGTH, STRIDE = 64, 48

# The machine is shared and noisy: no deadlines; and CI tries the same examples each time.
settings.register_profile("eden", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("eden")


LONGEST = (
    "test_docs.py",
    "test_training.py",
    "test_new_plugin.py",
    "test_killed_convert.py",
    "test_megatron.py",
    "test_wheel.py",
)
"""files that are begun first, so that no core waits for one at the end"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@dataclass(frozen=True)
class Small:
    """A small store and index in the seed's format: three samples, metagenome-like lengths."""

    directory: Path
    windows: Path
    sequences: dict[str, str]

    @property
    def options(self) -> dict:
        return {
            "sequence_db_dir": str(self.directory),
            "window_db_path": str(self.windows),
            "seq_length": SEQ_LENGTH,
        }

    def expected_windows(self) -> list[tuple[str, int]]:
        """(sequence id, start) of each window."""
        found = []
        for name in sorted(self.sequences, key=str.encode):
            n = len(self.sequences[name])
            count = 1 if n < SEQ_LENGTH else 1 + (n - SEQ_LENGTH) // STRIDE
            found += [(name, i * STRIDE) for i in range(count)]
        return found


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Small:
    directory = tmp_path_factory.mktemp("small")
    draw = random.Random(7)
    sequences = {}
    for sample in range(3):
        names = [f"BCR__ECT-S{sample}__CT{i}-1" for i in range(7)]
        group = {name: "".join(draw.choices("ACGTacgtN", k=draw.randint(5, 400))) for name in names}
        write_seed_shard(directory, f"S{sample}", group)
        sequences |= group
    windows = write_seed_index(
        directory / "train_windows.db", {name: len(bases) for name, bases in sequences.items()}, SEQ_LENGTH, STRIDE
    )
    return Small(directory, windows, sequences)


@pytest.fixture(scope="session")
def lambda_fasta() -> Path:
    return Path(eden_core.__file__).parent / "data" / "lambda_phage_NC_001416.fa.gz"


@pytest.fixture(scope="session")
def ecoli_fasta() -> Path:
    path = SHARED / "ecoli_536_NC_008253.fna.gz"
    if not path.exists():
        pytest.skip("the E. coli genome lies in ../shared/data, which is absent")
    return path


@pytest.fixture(scope="session")
def ecoli_genome(ecoli_fasta) -> str:
    return read_genome(ecoli_fasta)
