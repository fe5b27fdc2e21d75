"""Histograms of contig lengths, as lines of text."""

from collections.abc import Sequence

from eden_core.inspecting.contig_counts import LengthBin

_WIDTH = 24


def histogram(bins: Sequence[LengthBin]) -> list[str]:
    """Return a table with a line for each class of length: its share of the contigs and of the bases, in bars and figures."""
    contigs, bases = (max(1, sum(getattr(one, name) for one in bins)) for name in ("contigs", "bases"))
    most = max(max(one.contigs / contigs, one.bases / bases) for one in bins)
    lines = [f"{'length':>15}  {'of all contigs':<{_WIDTH + 9}}of all bases"]
    for one in bins:
        shares = (one.contigs / contigs, one.bases / bases)
        drawn = "  ".join(f"{_bar(share / most):<{_WIDTH}} {share:>6.1%}" for share in shares)
        lines.append(f"{_class(one):>15}  {drawn}".rstrip())
    return lines


def bases_text(bases: int) -> str:
    """Return a length in bases, kb, Mb or Gb.

    >>> [bases_text(n) for n in (0, 500, 2_000, 8_192, 5_000_000)]
    ['0', '500', '2 kb', '8.192 kb', '5 Mb']
    """
    for unit, size in (("Gb", 1_000_000_000), ("Mb", 1_000_000), ("kb", 1_000)):
        if bases >= size:
            return f"{bases / size:g} {unit}"
    return str(bases)


def _class(one: LengthBin) -> str:
    return f"{bases_text(one.shortest)} - {bases_text(one.below)}"


def _bar(share: float) -> str:
    return "#" * max(round(share * _WIDTH), 1 if share > 0 else 0)
