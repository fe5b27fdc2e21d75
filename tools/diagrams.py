"""Draws the diagrams of the pages into docs/images: `python tools/diagrams.py`. Their numbers come from Eden itself."""

import tempfile
from collections.abc import Sequence
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from eden_core import EdenDataset, Tiling, installed_plugins
from eden_core.records import read_records
from eden_core.sampler import RankSampler

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 860
SPECIAL = {0: "eos", 1: "pad", 2: "bos"}
SEP = 3
"""ids of the vocabulary "nucleotide" """
_STYLE = """
svg { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
.page { fill: #ffffff; } text { fill: #33322e; } .title { font-weight: 600; } .small { font-size: 11px; }
.muted { fill: #6b6a64; } .code { font-family: ui-monospace, Menlo, Consolas, monospace; } .middle { text-anchor: middle; }
.cell { font-size: 10px; } .tiny { font-size: 8px; }
.box { fill: #f3f2ee; stroke: #c9c7be; } .line { stroke: #6b6a64; fill: none; } .head { fill: #6b6a64; }
.bases { fill: #bcd7f5; } .other { fill: #c5e8d9; } .special { fill: #f7d3a6; } .pad { fill: #e2e1dc; } .lost { fill: #f2b8ae; }
@media (prefers-color-scheme: dark) {
.page { fill: #1e1f22; } text { fill: #dddcd5; } .muted { fill: #a3a29b; } .box { fill: #2b2c30; stroke: #4a4b50; }
.line { stroke: #a3a29b; } .head { fill: #a3a29b; }
.bases { fill: #1f4f80; } .other { fill: #1d5c47; } .special { fill: #7a4d12; } .pad { fill: #3b3c40; } .lost { fill: #7d2f24; }
}
"""


def diagrams() -> dict[str, str]:
    """Return each diagram's name and text."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "data-path.svg": data_path(Path(folder) / "lambda"),
            "tiling.svg": tiling(),
            "ranks.svg": ranks(),
            "packed-row.svg": packed_row(Path(folder) / "packed"),
        }


def made_dataset(folder: Path, sequences: dict[str, bytes], cut: Tiling, **options: Any) -> EdenDataset:
    """Return rows of sequences, whose ids name one sample, SAMPLE1."""
    with installed_plugins().store("sqlite-shards", str(folder)) as store:
        store.write_shard("SAMPLE1", sequences.items())
        store.finish()
    contigs = pa.record_batch({"contig_id": sorted(sequences), "length": [len(sequences[name]) for name in sorted(sequences)]})
    installed_plugins().index_class("sqlite").build(str(folder / "windows.db"), [contigs], cut)
    return EdenDataset(sequence_db_dir=str(folder), window_db_path=str(folder / "windows.db"), **options)


def data_path(folder: Path) -> str:
    """What is made once, and what each batch goes through: the first row of phage lambda that is read from the other strand."""
    with as_file(files("eden_core") / "data" / "lambda_phage_NC_001416.fa.gz") as genome:
        bases = next(iter(read_records(genome))).bases
    name = "PHAGE__FASTA-SAMPLE1__NC_001416.1"
    cut = Tiling(512, 480, keep_tail=True)
    dataset = made_dataset(folder, {name: bases}, cut, seq_length=512, rc_aug=True, use_control_tags=True)
    for row in range(len(dataset)):
        place, tokens = dataset.locate([row]), dataset[row]["tokens"].tolist()
        start, end = int(place.starts[0]), int(place.starts[0] + place.lengths[0])
        read, laid_out = bases[start:end].decode(), _letters(tokens[tokens.index(SEP) + 1 :])
        if not laid_out.startswith(read[:20]):
            break
    once = (
        ("sequences", "FASTA, JSON Lines,", "tables, shards"),
        ("store", "shards of bases,", f"here {len(bases):,}"),
        ("splits", "train, validation, test:", "contigs or regions"),
        ("index", f"{len(dataset)} windows of {cut.window_size}", f"bases every {cut.stride}"),
    )
    stages = (
        ("sampler", "which rows", f"row {row}"),
        ("order", "which windows", f"window {place.window_ids[0]}"),
        ("index", "where they lie", f"{start:,} to {end:,}"),
        ("store", "the bases", f"{read[:6]}…{read[-4:]}"),
        ("transforms", "strand and tag", f"{laid_out[:6]}…"),
        ("layout", "tokens, labels", f"{tokens[0]} {tokens[1]} {tokens[2]} …"),
    )
    parts = [_text(20, 28, "Once, before training", "title"), _text(20, 194, f"For every batch (here row {row})", "title")]
    for i, lines in enumerate(once):
        parts += _box(20 + i * 222, 62, 154, 76, *lines)
    for i, command in enumerate(("eden import", "eden split", "eden-precompute")):
        parts += [_arrow(178 + i * 222, 100, 238 + i * 222), _text(208 + i * 222, 54, command, "small muted code middle")]
    for i, lines in enumerate(stages):
        parts += [*_box(20 + i * 140, 210, 120, 76, *lines), _arrow(i * 140, 248, 17 + i * 140) if i else ""]
    for begin, height, stage in ((319, 152, 500), (763, 168, 360)):
        parts.append(f'<path class="line" stroke-dasharray="4 3" d="M{begin} 138 V{height} H{stage} V207"/>')
    return _svg(358, "From sequences to a batch", [
        *parts,
        _text(20, 318, f"{name}, reverse complement, with its tag:", "small muted"),
        _text(20, 340, f"[bos] <ctrl_phage> [sep] {laid_out[:24]}… [eos]", "code"),
        _text(840, 318, "tokens, labels, loss_mask, position_ids:", "small muted", "end"),
        _text(840, 340, "each [micro_batch_size, seq_length]", "", "end"),
    ])  # fmt: skip


def tiling() -> str:
    """Windows of a contig of 2,000 bases, by the format's rule and with the tail kept."""
    length, scale, left = np.array([2000]), 0.36, 100
    cuts = {"The format's rule": Tiling(512, 480), "With the tail, --keep-tail": Tiling(512, 480, keep_tail=True)}
    seed, kept = cuts.values()
    parts = [_text(20, 30, f"A contig of {length[0]:,} bases, windows of {seed.window_size} every {seed.stride}", "title")]
    parts += [_bar(left, 48, length[0] * scale, 14, "pad"), _text(20, 59, "contig", "small muted")]
    parts += [_text(left + base * scale, 76, f"{base:,}", "small muted middle") for base in range(0, length[0] + 1, 500)]
    for y, (title, cut) in zip((104, 196), cuts.items(), strict=True):
        count, unread = int(cut.counts(length)[0]), int(length[0] - cut.bases_read(length)[0])
        parts.append(
            _text(20, y, f"{title}: {count} windows, {f'the last {unread} bases' if unread else 'no base'} left unread")
        )
        for i in range(count):
            start, end = i * cut.stride, min(i * cut.stride + cut.window_size, int(length[0]))
            x, top, width = left + start * scale, y + 12 + i % 2 * 22, (end - start) * scale
            inside = width > 100
            parts += [
                _bar(x, top, width, 18, "bases"),
                _text(x + (5 if inside else -145), top + 13, f"window {i}", "small"),
                _text(x + (width if inside else 0) - 5, top + 13, f"{start:,} to {end:,}", "small muted", "end"),
            ]
        if unread:
            parts.append(_bar(left + (length[0] - unread) * scale, y + 12, unread * scale, 40, "lost"))
    last = int(length[0]) - (int(kept.counts(length)[0]) - 1) * kept.stride
    reads = f"A row of {seed.window_size} tokens reads {seed.row_bases} bases of a window beside bos and eos;"
    tail = f"the tail is kept for {kept.row_bases} or more, {kept.reserve} tokens being reserved for specials and tags."
    caption = (
        f"Neighbours share {seed.window_size - seed.stride} bases. {reads}",
        f"{tail} The last window has {last} bases; padding fills its row.",
    )
    return _svg(306, "Windows of a contig, with its tail and without", [*parts, *_caption(274, *caption)])


def ranks() -> str:
    """Rows of two steps on two ranks, and of the next two, after a resume, on four."""
    parts, shades = (
        [_text(20, 30, "Rows of a run, in order: which rank reads which", "title")],
        ("bases", "special", "other", "pad"),
    )
    for y, size, first in ((58, 2, 0), (184, 4, 2)):
        samplers = [RankSampler(10_000, 2, rank, size, global_batch_size=8) for rank in range(size)]
        batches, rows = samplers[0].step_batches, samplers[0].step_rows
        after = "After a stop, " if first else ""
        parts.append(_text(20, y, f"{after}{size} ranks, micro-batches of 2, global batches of {rows}"))
        for rank, sampler in enumerate(samplers):
            parts += [_bar(560 + rank * 70, y - 11, 12, 12, shades[rank]), _text(576 + rank * 70, y, f"rank {rank}", "small")]
            for row in sampler.block(0, first * rows, range(2 * batches)).rows.tolist():
                x = 20 + (row - first * rows) * 50 + (row // rows - first) * 20
                parts += [_bar(x, y + 32, 46, 28, shades[rank]), _text(x + 23, y + 50, str(row), "code middle")]
        for step in range(2):
            parts.append(_text(20 + step * 420, y + 24, f"step {first + step}", "small muted"))
            for batch in range(batches):
                x, width = 20 + step * 420 + batch * 200, 400 / batches - 4
                parts.append(f'<path class="line" d="M{x} {y + 64} v4 h{width:g} v-4"/>')
                parts.append(_text(x + width / 2, y + 81, f"micro-batch {batch} of each rank", "small muted middle"))
    caption = (
        "A checkpoint holds the next row, here 16, and nothing of ranks: each step has the same rows on any number of them."
    )
    return _svg(306, "What each rank reads, before and after a resume", [*parts, *_caption(290, caption)])


def packed_row(folder: Path) -> str:
    """A row of three short contigs, packed for attention that knows segments."""
    texts = (b"ACGTTGCAAGCTNATCGGAT", b"TTGACCGTA", b"GCA")
    sequences = {f"BCR__ECT-SAMPLE1__CT{i}-1": bases for i, bases in enumerate(texts)}
    options = {"seq_length": 40, "packing": "thd", "loss_weights": {"ambiguous": 0}}
    batch = made_dataset(folder, sequences, Tiling(40, 40), shuffle=False, **options).batch([0])
    bounds = [bound for bound in batch["cu_seqlens"][0].tolist() if bound >= 0]
    named = [[SPECIAL.get(token, chr(token)) for token in batch[key][0].tolist()] for key in ("tokens", "labels")]
    lines = dict(zip(("tokens", "labels"), named, strict=True))
    lines["loss_mask"] = [f"{weight:g}" for weight in batch["loss_mask"][0].tolist()]
    lines["position_ids"] = [str(place) for place in batch["position_ids"][0].tolist()]
    cell, left = 18.3, 112.0
    parts = [
        _text(20, 30, 'A packed row of 40 tokens: three contigs, packing="thd"', "title"),
        _text(20, 54, "cu_seqlens", "code small"),
    ]
    for y, (title, cells) in zip(range(66, 170, 26), lines.items(), strict=True):
        parts.append(_text(20, y + 15, title, "code small"))
        plain = "bases" if title in {"tokens", "labels"} else "box"
        for i, shown in enumerate(cells):
            kind = (
                "pad"
                if shown == "pad" or (title, shown) == ("loss_mask", "0")
                else "special"
                if shown in {"bos", "eos"}
                else plain
            )
            parts.append(_bar(left + i * cell, y, cell - 1.5, 22, kind))
            parts.append(_text(left + (i + 0.46) * cell, y + 15, shown, f"middle code {'tiny' if len(shown) > 2 else 'cell'}"))
    for bound in bounds:
        x = left + bound * cell - 0.75
        parts += [f'<path class="line" stroke-width="2" d="M{x:g} 58 V174"/>', _text(x, 54, str(bound), "small middle code")]
    caption = (
        "Each contig has bos, eos and positions of its own. Its last label is pad: nothing is predicted across a border.",
        'loss_mask is 0 where the label is eos or pad and, with loss_weights={"ambiguous": 0}, where it is N.',
    )
    return _svg(226, "A packed row, token by token", [*parts, *_caption(196, *caption)])


def _letters(tokens: Sequence[int]) -> str:
    return "".join(chr(token) for token in tokens)


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
    page = f'<rect class="page" width="{WIDTH}" height="{height:g}" rx="6"/>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>'
    )
    return "\n".join([head, page, *filter(None, parts), "</svg>\n"])


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "") -> str:
    style = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:g}" y="{y:g}"{style}>{escape(text)}</text>'


def _caption(y: float, *lines: str) -> list[str]:
    return [_text(20, y + 16 * i, line, "small muted") for i, line in enumerate(lines)]


def _bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2"/>'


def _box(x: float, y: float, width: float, height: float, title: str, *lines: str) -> list[str]:
    middle = x + width / 2
    below = [_text(middle, y + 42 + 17 * i, line, "small middle") for i, line in enumerate(lines)]
    frame = f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'
    return [frame, _text(middle, y + 22, title, "title middle"), *below]


def _arrow(begin: float, y: float, end: float) -> str:
    return f'<path class="line" d="M{begin:g} {y:g} H{end - 4:g}"/><path class="head" d="M{end:g} {y:g} l-7 -4 v8 z"/>'


if __name__ == "__main__":
    for name, text in diagrams().items():
        (IMAGES / name).write_text(text, encoding="utf-8")
