"""What `eden inspect` prints of a description."""

from collections.abc import Iterator

from eden_core.amounts import size_text
from eden_core.cli.histogram import histogram
from eden_core.inspecting import IndexReport
from eden_core.inspecting.contig_counts import QUANTILES, ContigReport, LengthReport
from eden_core.inspecting.describing import Description

_TAGS_SHOWN = 8


def description_lines(one: Description) -> list[str]:
    """Return the lines of a description, and of what lies in it; what to do next comes last."""
    lines = [f"{one.kind}: {one.location}"]
    if one.bytes is not None:
        lines.append(f"  size     {size_text(one.bytes):>16}")
    for name, value in one.facts.items():
        number = isinstance(value, int)
        lines.append(f"  {name} {value:>{max(24 - len(name), 1)},}" if number else f"  {name:<8} {_text(value)}")
    if one.contigs is not None:
        lines += contig_lines(one.contigs)
    for part in one.parts:
        lines += ["", *(line for line in description_lines(part) if not line.startswith("next: "))]
    if one.parts:
        lines.append("")
    return [*lines, *(f"next: {command}" for command in one.following)]


def contig_lines(report: ContigReport, *, drawn: bool = True) -> list[str]:
    """Return the lines that describe contigs, and the windows of an index; `drawn`: with a histogram of the lengths."""
    lines = []
    if isinstance(report, IndexReport):
        tail = f", tails kept with a reserve of {report.reserve} tokens" if report.keep_tail else ""
        shortest = f", of {report.min_length:,} at least" if report.min_length else ""
        size = f"of {report.window_size:,} bases every {report.stride:,}{shortest}{tail}"
        lines.append(f"  windows  {report.windows:>16,}  {size}")
    lines.append(f"  contigs  {report.contigs:>16,}")
    if report.lengths is None:
        unknown = (
            "none" if not report.contigs else "unknown: neither the index nor a contigs.parquet says (--all asks the store)"
        )
        lines.append(f"  bases             {unknown}")
    else:
        lines += _length_lines(report.lengths)
    return [*lines, *_group_lines(report), *_letter_lines(report), *(_histogram_lines(report) if drawn else ())]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _length_lines(lengths: LengthReport) -> list[str]:
    names = ("shortest", *(f"{q:.0%}" for q in QUANTILES[1:-1]), "longest")
    quantiles = ", ".join(f"{name} {length:,}" for name, length in zip(names, lengths.quantiles, strict=True))
    return [f"  bases    {lengths.bases:>16,}", f"  N50      {lengths.n50:>16,}", f"  lengths  {quantiles}"]


def _group_lines(report: ContigReport) -> Iterator[str]:
    samples = report.samples
    if samples.count:
        bases = f", {samples.largest_bases:,} bases" if report.lengths is not None else ""
        contigs = "1 contig" if samples.largest_contigs == 1 else f"{samples.largest_contigs:,} contigs"
        largest = f"the largest {samples.largest!r}: {contigs}{bases}"
        yield f"  samples  {samples.count:>16,}  {largest}"
    if report.tags:
        shown = [f"{tag or '(none)'} {count:,}" for tag, count in list(report.tags.items())[:_TAGS_SHOWN]]
        more = [f"{len(report.tags) - _TAGS_SHOWN:,} more"] if len(report.tags) > _TAGS_SHOWN else []
        yield f"  tags     {', '.join([*shown, *more])}"


def _letter_lines(report: ContigReport) -> Iterator[str]:
    found = report.composition
    if found is not None:
        shares = (("GC", found.gc), ("N", found.n), ("other letters", found.other), ("lower case", found.lower))
        yield f"  letters  {', '.join(f'{name} {share:.2%}' for name, share in shares)}"


def _histogram_lines(report: ContigReport) -> Iterator[str]:
    if report.lengths is not None:
        yield from (f"  {line}" for line in histogram(report.lengths.histogram))
