"""A report as a picture: SVG that needs no other file."""

import math
from collections.abc import Callable, Sequence
from html import escape

from eden_core.benching.results import BenchReport, Setting

_COLOURS = {"warm": "#0072b2", "as found": "#0072b2", "cold": "#e69f00"}
_WAITS = {"p50": "#56b4e9", "p95": "#009e73", "p99": "#d55e00"}
_WIDTH, _HEIGHT = 960, 430
_PANEL, _TOP, _BOTTOM = 380, 96, 340
_LEFT = (80, 560)
"""where the panels begin: rates, and waits"""


def picture(report: BenchReport, title: str) -> str:
    """Return bars of rows a second, with the spread of the rounds, beside what the trainer waits for a step, on a log scale."""
    settings = sorted(report.results, key=lambda one: (one.workers, one.cache == "cold"))
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="#222222">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(24, 30, title, 'font-size="18" font-weight="bold"'),
        _text(24, 50, _machine(report), 'fill="#666666"'),
        *_rates(settings),
        *_waits(settings),
        _text(24, _HEIGHT - 18, report.limit, 'font-size="13" font-style="italic"'),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _machine(report: BenchReport) -> str:
    machine = report.machine
    return (
        f"{machine.cpu}, {machine.cores:g} cores, {machine.file_system}; micro-batches of "
        f"{report.settings['micro_batch_size']} x {report.data['seq_length']} tokens; {machine.date[:10]}"
    )


def _rates(settings: Sequence[Setting]) -> list[str]:
    highest = _rounded_up(max(one.rows_per_s.max for one in settings))
    parts = _panel(_LEFT[0], "rows a second", settings)
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts += _grid(_LEFT[0], _BOTTOM - share * (_BOTTOM - _TOP), f"{share * highest:,.0f}")
    scale = (_BOTTOM - _TOP) / highest
    for x, width, one in _places(_LEFT[0], settings):
        rate, tip = one.rows_per_s, f"{one.workers} workers, {one.cache}: {one.rows_per_s.median:,.0f} rows/s"
        top = _BOTTOM - rate.median * scale
        bar = f'x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BOTTOM - top:.1f}" rx="2"'
        parts.append(f'<rect {bar} fill="{_COLOURS[one.cache]}"><title>{escape(tip)}</title></rect>')
        parts.append(_line(x + width / 2, _BOTTOM - rate.min * scale, x + width / 2, _BOTTOM - rate.max * scale, "#222222"))
    caches = dict.fromkeys(one.cache for one in settings)
    return parts + _legend(_LEFT[0], {cache: _COLOURS[cache] for cache in caches})


def _waits(settings: Sequence[Setting]) -> list[str]:
    found = [(one, name, one.median(_wait(name)) or 0.0) for one in settings for name in _WAITS]
    known = [wait for _, _, wait in found if wait > 0] or [1.0]
    low, high = math.floor(math.log10(min(known))), math.floor(math.log10(max(known))) + 1
    parts = _panel(_LEFT[1], "wait for a step, ms", settings)
    scale = (_BOTTOM - _TOP) / (high - low)
    for power in range(low, high + 1):
        parts += _grid(_LEFT[1], _BOTTOM - (power - low) * scale, f"{10.0**power:g}")
    for x, width, one in _places(_LEFT[1], settings):
        for name, colour in _WAITS.items():
            wait = one.median(_wait(name)) or 0.0
            y = _BOTTOM - (math.log10(max(wait, 10.0**low)) - low) * scale
            tip = escape(f"{one.workers} workers, {one.cache}: {name} {wait:.3g} ms")
            shape = f'cx="{x + width / 2:.1f}" cy="{y:.1f}" r="5" fill="{colour}"'
            cold = ' stroke="#222222"' if one.cache == "cold" else ""
            parts.append(f"<circle {shape}{cold}><title>{tip}</title></circle>")
    return parts + _legend(_LEFT[1], _WAITS)


def _wait(name: str) -> Callable[..., float]:
    return lambda one: float(one["wait_ms"][name])


def _panel(left: int, title: str, settings: Sequence[Setting]) -> list[str]:
    parts = [_text(left, _TOP - 14, title, 'font-weight="bold"')]
    workers = list(dict.fromkeys(one.workers for one in settings))
    each = _PANEL / len(workers)
    for i, number in enumerate(workers):
        parts.append(_text(left + (i + 0.5) * each, _BOTTOM + 18, str(number), 'text-anchor="middle"'))
    return [*parts, _text(left + _PANEL / 2, _BOTTOM + 36, "workers", 'text-anchor="middle" fill="#666666"')]


def _places(left: int, settings: Sequence[Setting]) -> list[tuple[float, float, Setting]]:
    """Left side and width of the bar of each setting: those of one number of workers stand together."""
    workers = list(dict.fromkeys(one.workers for one in settings))
    caches = list(dict.fromkeys(one.cache for one in settings))
    each = _PANEL / len(workers)
    width = min(60.0, 0.7 * each / len(caches))
    found = []
    for one in settings:
        centre = left + (workers.index(one.workers) + 0.5) * each
        found.append((centre + (caches.index(one.cache) - len(caches) / 2) * width, width - 3, one))
    return found


def _grid(left: int, y: float, label: str) -> list[str]:
    return [_line(left, y, left + _PANEL, y, "#dddddd"), _text(left - 8, y + 4, label, 'text-anchor="end" fill="#666666"')]


def _legend(left: int, names: dict[str, str]) -> list[str]:
    parts, x = [], left + _PANEL - 70 * len(names)
    for name, colour in names.items():
        parts.append(f'<rect x="{x}" y="{_TOP - 24}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, _TOP - 15, name))
        x += 70
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _rounded_up(number: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten, which quarters divide well."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(digit * power for digit in (1, 2, 4, 8, 10) if digit * power >= number)
