"""Rows of a preview as bars: in the terminal, as SVG, and as a page of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from rich.text import Text

from eden_core.preview import KINDS, PreviewRow, Span
from eden_core.replay import ReplayedRow

BAR = 60
"""characters of a bar, where rows have as many tokens"""

_LETTERS = dict(zip(KINDS, ".STFRXLNMP", strict=True))
_COLOURS = {  # told apart by most eyes
    "padding": "#e4e4e4",
    "special": "#8c564b",
    "tag": "#009e73",
    "+": "#0072b2",
    "-": "#e69f00",
    "?": "#cc79a7",
    "soft-masked": "#56b4e9",
    "ambiguous": "#f0e442",
    "masked": "#9a9a9a",
    "predicted": "#d55e00",
}
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_NAME = 14
_ROW, _LEFT, _BAR, _RIGHT = 18, 224, 1000, 480  # pixels of the SVG


class _Cell(NamedTuple):
    kind: str
    is_odd: bool  # whether it shows the second, fourth, … segment of its row


@dataclass(frozen=True)
class Drawing:
    """Rows, one bar each.

    Args:
        title: what they are, in a line.
        rows: the rows.
    """

    title: str
    rows: Sequence[PreviewRow]

    def lines(self, width: int = BAR, columns: int = 128) -> list[str]:
        """Return lines below the title that need no terminal: a letter a kind, lower-case in every second segment of a row.

        Args:
            width: characters of a bar; each shows what most of its tokens are.
            columns: characters of a line; as many contigs are named as fit.
        """
        legend = [f"  {_LETTERS[kind]} {KINDS[kind]}" for kind in self._kinds()]
        found = [*legend, "  lower-case letters: every second segment of a row", self._header(width)]
        for row in self.rows:
            cells = (_LETTERS[kind].lower() if odd else _LETTERS[kind] for kind, odd in _cells(row, width))
            found.append(f"{_label(row)}  {''.join(cells)}  {self._contigs(row, width, columns)}".rstrip())
        return found

    def text(self, width: int = BAR, columns: int = 128) -> Text:
        """Return the same in blocks and colours, for `rich` to print."""
        drawn = Text(end="")
        for kind in self._kinds():
            drawn.append(f"  {_block(kind) * 2}", _COLOURS[kind]).append(f" {KINDS[kind]}\n")
        drawn.append(f"  ▒▒ every second segment of a row\n{self._header(width)}\n")
        for row in self.rows:
            drawn.append(f"{_label(row)}  ")
            for kind, is_odd in _cells(row, width):
                drawn.append(_block(kind, is_odd=is_odd), _COLOURS[kind])
            drawn.append(f"  {self._contigs(row, width, columns)}\n")
        return drawn

    def svg(self) -> str:
        """Return a picture that needs no other file; pointing at a span says contig, place, strand and tag."""
        top = _ROW * (len(self._kinds()) + 2)
        height = top + _ROW * len(self.rows) + 8
        size = f'width="{_LEFT + _BAR + _RIGHT}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text x="8" y="14" xml:space="preserve">{escape(self.title)}</text>',
        ]
        for i, kind in enumerate(self._kinds(), 1):
            parts.append(f'<rect x="8" y="{_ROW * i + 4}" width="24" height="12" fill="{_COLOURS[kind]}"/>')
            parts.append(f'<text x="40" y="{_ROW * i + 14}">{KINDS[kind]}</text>')
        parts.append(f'<text x="8" y="{top - 4}" xml:space="preserve">{_HEADER}</text>')
        for i, row in enumerate(self.rows):
            parts += self._svg_row(row, top + _ROW * i)
        return "\n".join([*parts, "</svg>\n"])

    def html(self) -> str:
        """Return a page with the picture, which needs no other file either."""
        return (
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(self.title)}</title></head>\n'
            f"<body>\n{self.svg()}</body>\n</html>\n"
        )

    def _svg_row(self, row: PreviewRow, top: int) -> list[str]:
        """Draw a row; bars of segments stand a little apart."""
        scale = _BAR / row.length
        parts = [f'<text x="8" y="{top + 13}" xml:space="preserve">{_label(row)}</text>']
        for span in row.spans:
            place = f'x="{_LEFT + span.start * scale:.2f}" width="{(span.stop - span.start) * scale:.2f}"'
            drawn = f'{place} y="{top + 1}" height="{_ROW - 3}" fill="{_COLOURS[span.kind]}"'
            parts.append(f"<rect {drawn}><title>{escape(_tooltip(row, span))}</title></rect>")
        begins = {span.segment: span.start for span in reversed(row.spans) if span.segment is not None}
        lines = (_LEFT + start * scale - 0.5 for start in begins.values() if start)
        parts += [f'<rect x="{x:.2f}" width="1" y="{top}" height="{_ROW}" fill="#ffffff"/>' for x in lines]
        contigs = escape(_named(row.segments, _RIGHT // 8))
        return [*parts, f'<text x="{_LEFT + _BAR + 8}" y="{top + 13}" xml:space="preserve">{contigs}</text>']

    def _kinds(self) -> list[str]:
        found = {span.kind for row in self.rows for span in row.spans}
        return [kind for kind in KINDS if kind in found]

    def _header(self, width: int) -> str:
        shown = min([width, *(row.length for row in self.rows)])
        return f"{_HEADER}  {'tokens'.ljust(shown)}  contigs"

    def _contigs(self, row: PreviewRow, width: int, columns: int) -> str:
        return _named(row.segments, columns - len(_HEADER) - 4 - min(width, row.length))


_HEADER = f"{'row':>9} {'rank':>4} {'source':>6} {'fill':>6}"


def _block(kind: str, *, is_odd: bool = False) -> str:
    return "·" if kind == "padding" else "▒" if is_odd else "█"


def _label(row: PreviewRow) -> str:
    rank = "" if row.rank is None else row.rank
    source = row.segments[0].source if row.segments else ""
    return f"{row.row:>9} {rank:>4} {source:>6} {row.fill:>6.1%}"


def _cells(row: PreviewRow, width: int) -> list[_Cell]:
    """Divide a row into cells; each shows the kind that most of its tokens have, of the segment that has most of them."""
    lengths = [span.stop - span.start for span in row.spans]
    kinds = np.repeat([_NUMBERS[span.kind] for span in row.spans], lengths)
    segments = np.repeat([-1 if span.segment is None else span.segment for span in row.spans], lengths)
    width = min(width, row.length)
    bounds = np.arange(width + 1) * row.length // width
    cells = []
    for start, stop in zip(bounds.tolist(), bounds[1:].tolist(), strict=False):
        kind = int(np.bincount(kinds[start:stop]).argmax())
        segment = int(np.bincount(segments[start:stop][kinds[start:stop] == kind] + 1).argmax()) - 1
        cells.append(_Cell(list(KINDS)[kind], segment % 2 == 1 and segment > 0))
    return cells


def _named(segments: Sequence[ReplayedRow], room: int) -> str:
    """Name the contigs of a row, as many as there is room for, and at least one."""
    names: list[str] = []
    for number, segment in enumerate(segments):
        name = f"{_short(segment.contig)}({segment.strand}){' ' * bool(segment.tag)}{segment.tag}"
        more = f" and {len(segments) - number} more"
        if names and len(", ".join([*names, _printable(name)])) + len(more) > room:
            return ", ".join(names) + more
        names.append(_printable(name))
    return ", ".join(names)


def _short(contig: str) -> str:
    """The last part of a sequence id, or what fits of its end."""
    name = contig.rsplit("__", 1)[-1]
    return name if len(name) <= _NAME else f"..{name[2 - _NAME :]}"


def _tooltip(row: PreviewRow, span: Span) -> str:
    tokens = f"tokens {span.start}-{span.stop - 1}: {KINDS[span.kind]}"
    if span.segment is None:
        return tokens
    one = row.segments[span.segment]
    return (
        _printable(f"{one.contig}:{one.start + 1}-{one.start + one.length} ({one.strand}) {one.tag}".rstrip()) + f", {tokens}"
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
