"""Stores that read sequences where they lie: "fasta" and "twobit"."""

from eden_core import SequenceStore, hookimpl


@hookimpl
def eden_sequence_stores() -> list[type[SequenceStore]]:
    """Offer the stores."""
    from eden_fasta.stores import FastaStore, TwoBitStore

    return [FastaStore, TwoBitStore]
