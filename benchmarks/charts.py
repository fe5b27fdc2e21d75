"""Plots as SVG text, readable on light and on dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
COLOURS = ("#2a78d6", "#1baf7a", "#d95926", "#4a3aa7", "#c98500", "#e34948", "#7a7974")
STYLE = """<style>
svg { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; }
.page { fill: #ffffff; } text { fill: #33322e; } .title { font-weight: 600; } .grid { stroke: #e2e1dc; }
@media (prefers-color-scheme: dark) { .page { fill: #1a1a19; } text { fill: #d8d7d0; } .grid { stroke: #3d3c38; } }
</style>"""


@dataclass(frozen=True)
class Bar:
    """One bar, with a line from its least to its most."""

    label: str
    values: Sequence[float]
    ours: bool = False


@dataclass(frozen=True)
class Panel:
    """Bars that are compared."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Line:
    """Points of one thing, from left to right; several values a point are its rounds."""

    label: str
    points: Sequence[tuple[float, Sequence[float]]]


def bars(panels: Sequence[Panel], unit: str) -> str:
    """Horizontal bars on a logarithmic scale that all panels share."""
    values = [value for panel in panels for bar in panel.bars for value in bar.values]
    scale = _Decades(min(values), max(values), 280, WIDTH - 100)
    parts, y = [], 10
    for panel in panels:
        top = y + 24
        parts.append(f'<text class="title" x="12" y="{y + 14}">{escape(panel.title)}</text>')
        for bar in panel.bars:
            y += 22
            parts.append(_bar(bar, scale, y + 10, unit))
        parts[-len(panel.bars) : -len(panel.bars)] = [_ruler(scale.at(tick), top, y + 28) for tick in scale.ticks]
        y += 40
    parts += [f'<text x="{scale.at(tick):.1f}" y="{y + 4}" text-anchor="middle">{tick:,g}</text>' for tick in scale.ticks]
    parts.append(f'<text x="{scale.right}" y="{y + 22}" text-anchor="end">{escape(unit)}, log scale</text>')
    return _svg(parts, y + 34)


def lines(title: str, series: Sequence[Line], x_label: str, y_label: str, height: int = 300) -> str:
    """Lines over a logarithmic x axis and a y axis from 0."""
    xs = [x for line in series for x, _ in line.points]
    most = max(value for line in series for _, values in line.points for value in values)
    across = _Decades(min(xs), max(xs), 60, WIDTH - 250)
    step = _step(most)
    top = math.ceil(most / step) * step

    def up(value: float) -> float:
        return 40 + (height - 90) * (1 - value / top)

    parts = [f'<text class="title" x="12" y="22">{escape(title)}</text>']
    for i in range(round(top / step) + 1):
        parts.append(f'<line class="grid" x1="60" x2="{WIDTH - 250}" y1="{up(i * step):.1f}" y2="{up(i * step):.1f}"/>')
        parts.append(f'<text x="52" y="{up(i * step) + 4:.1f}" text-anchor="end">{i * step:g}</text>')
    parts += [
        f'<text x="{across.at(tick):.1f}" y="{height - 30}" text-anchor="middle">{_short(tick)}</text>' for tick in across.ticks
    ]
    for line, colour, (label_y, last) in zip(series, COLOURS, _labels(series, up), strict=False):
        parts += _points(line, colour, across, up)
        parts.append(
            f'<text x="{WIDTH - 238}" y="{label_y:.1f}" style="fill: {colour}">{escape(line.label)}: {last:.1f}</text>'
        )
    parts.append(f'<text x="{WIDTH - 250}" y="{height - 10}" text-anchor="end">{escape(x_label)}, log scale</text>')
    parts.append(f'<text x="12" y="{height - 10}">{escape(y_label)}</text>')
    return _svg(parts, height)


class _Decades:
    """A logarithmic scale from one power of ten to another."""

    def __init__(self, least: float, most: float, left: float, right: float) -> None:
        self.low, self.high = math.floor(math.log10(least)), math.ceil(math.log10(most))
        self.high = max(self.high, self.low + 1)
        self.left, self.right = left, right
        self.ticks = [10**power for power in range(self.low, self.high + 1)]

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)


def _bar(bar: Bar, scale: _Decades, y: float, unit: str) -> str:
    ordered = sorted(bar.values)
    middle, left = ordered[len(ordered) // 2], scale.left
    colour = COLOURS[0] if bar.ours else COLOURS[-1]
    least, most = scale.at(ordered[0]), scale.at(ordered[-1])
    return (
        f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect x="{left}" y="{y - 7}" width="{max(1.0, scale.at(middle) - left):.1f}" height="14" rx="2" fill="{colour}">'
        f"<title>{escape(bar.label)}: {middle:,.1f} {escape(unit)}</title></rect>"
        f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{y}" y2="{y}" stroke="{COLOURS[2]}" stroke-width="2"/>'
        f'<text x="{max(most, scale.at(middle)) + 6:.1f}" y="{y + 4}">{middle:,.{1 if middle < 100 else 0}f}</text>'
    )


def _ruler(x: float, top: float, bottom: float) -> str:
    return f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def _points(line: Line, colour: str, across: _Decades, up: Callable[[float], float]) -> list[str]:
    middles = [
        (across.at(x), up(sorted(values)[len(values) // 2]), up(min(values)), up(max(values))) for x, values in line.points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in middles)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, y, least, most in middles:
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{least:.1f}" y2="{most:.1f}" stroke="{colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
    return parts


def _labels(series: Sequence[Line], up: Callable[[float], float]) -> list[tuple[float, float]]:
    """Where the name of each line goes, 17 apart at least, and its last value."""
    lasts = [sorted(line.points[-1][1])[len(line.points[-1][1]) // 2] for line in series]
    places: dict[int, float] = {}
    y = -math.inf
    for i in sorted(range(len(series)), key=lambda i: -lasts[i]):
        y = max(up(lasts[i]) + 4, y + 17)
        places[i] = y
    return [(places[i], last) for i, last in enumerate(lasts)]


def _step(most: float) -> float:
    power = 10 ** math.floor(math.log10(most))
    return next(power * part for part in (0.2, 0.5, 1, 2) if most / (power * part) <= 6)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def _svg(parts: list[str], height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}">'
    page = f'<rect class="page" width="{WIDTH}" height="{height:.0f}" rx="6"/>'
    return "\n".join([head, STYLE, page, *parts, "</svg>", ""])
