"""A report as a picture: how small against how fast, compressing on the left and decompressing on the right.

The SVG is written here, without any dependency; a PNG needs matplotlib (the extra ``plot``).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from nczip.report.results import Report, ReportError, Result

_OWN, _PEER, _INK, _FAINT = "#c2410c", "#1d4ed8", "#1f2937", "#e5e7eb"
_WIDTH, _HEIGHT = 1080, 480
_LEFT, _TOP, _PANEL_WIDTH, _PANEL_HEIGHT, _GAP = 70, 60, 440, 350, 70
_DIRECTIONS = ("compress", "decompress")


@dataclass(frozen=True)
class Point:
    """One codec in one panel: bytes a second, and original size over packed size."""

    name: str
    speed: float
    ratio: float
    own: bool
    quoted: bool


def check(path: Path) -> None:
    """Raises ReportError where ``path`` cannot be drawn here: to be asked before the work, not after it."""
    if path.suffix.lower() not in _WRITERS:
        raise ReportError(f"{path}: a plot is an .svg or a .png")
    if path.suffix.lower() == ".png" and find_spec("matplotlib") is None:
        raise ReportError(
            f"{path}: a .png needs matplotlib (pip install 'nczip[plot]'); an .svg needs nothing"
        )


def write(report: Report, path: Path) -> None:
    """Draws the totals of ``report`` into ``path``, an .svg or a .png. Raises ReportError."""
    check(path)
    panels = [_points(report, direction) for direction in _DIRECTIONS]
    if not any(panels):
        raise ReportError(f"{path}: there is nothing to plot")
    count = len(report.inputs)
    whole = f"{sum(item.size for item in report.inputs):,} bytes"
    title = f"{report.inputs[0].label if count == 1 else f'{count} files'}, {whole}; {report.machine}"
    _WRITERS[path.suffix.lower()](panels, title, path)


def _points(report: Report, direction: str) -> list[Point]:
    speed: Callable[[Result], float | None] = (
        (lambda result: result.compress_speed)
        if direction == "compress"
        else (lambda result: result.decompress_speed)
    )
    return [
        Point(result.codec, fast, result.ratio, result.codec.startswith("nczip "), result.quoted)
        for result in report.totals
        if not result.trouble and result.ratio is not None and (fast := speed(result)) is not None
    ]


def _speed_ticks(points: Sequence[Point]) -> list[float]:
    """Powers of ten from at or below the slowest to at or above the fastest."""
    low = math.floor(math.log10(min(point.speed for point in points)))
    high = math.ceil(math.log10(max(point.speed for point in points)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _ratio_ticks(points: Sequence[Point]) -> list[float]:
    """About five round steps around all ratios."""
    low, high = min(point.ratio for point in points), max(point.ratio for point in points)
    rough = max(high - low, 0.02 * high, 1e-6) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.floor(low / step - 0.2)
    return [step * k for k in range(first, math.ceil(high / step + 0.2) + 1)]


def _speed_label(speed: float) -> str:
    for unit, size in (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)):
        if speed >= size:
            return f"{speed / size:g} {unit}"
    return f"{speed:g} B/s"


def _write_svg(panels: Sequence[Sequence[Point]], title: str, path: Path) -> None:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="system-ui, DejaVu Sans, sans-serif" font-size="12" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 26, title, size=14),
    ]
    for number, (direction, points) in enumerate(zip(_DIRECTIONS, panels, strict=True)):
        if points:
            parts += _svg_panel(_LEFT + number * (_PANEL_WIDTH + _GAP), direction, points)
    if any(point.quoted for points in panels for point in points):
        parts.append(_text(_LEFT, _HEIGHT - 12, "hollow: quoted, not run here"))
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _svg_panel(left: float, direction: str, points: Sequence[Point]) -> list[str]:
    speeds, ratios = _speed_ticks(points), _ratio_ticks(points)
    bottom = _TOP + _PANEL_HEIGHT

    def x(speed: float) -> float:
        return left + _PANEL_WIDTH * math.log(speed / speeds[0]) / math.log(speeds[-1] / speeds[0])

    def y(ratio: float) -> float:
        return bottom - _PANEL_HEIGHT * (ratio - ratios[0]) / (ratios[-1] - ratios[0])

    parts = [_text(left, _TOP - 10, f"ratio against {direction}ion speed", size=13)]
    for speed in speeds:
        parts.append(_line(x(speed), _TOP, x(speed), bottom, _FAINT))
        parts.append(_text(x(speed), bottom + 18, _speed_label(speed), anchor="middle"))
    for ratio in ratios:
        parts.append(_line(left, y(ratio), left + _PANEL_WIDTH, y(ratio), _FAINT))
        parts.append(_text(left - 8, y(ratio) + 4, f"{ratio:.3g}", anchor="end"))
    own = sorted((point for point in points if point.own), key=lambda point: point.ratio)
    for one, two in itertools.pairwise(own):
        parts.append(_line(x(one.speed), y(one.ratio), x(two.speed), y(two.ratio), _OWN))
    places = [(x(point.speed), y(point.ratio)) for point in points]
    taken = [(at[0] - 5, at[0] + 5, at[1] - 5, at[1] + 5) for at in places]
    for point, at in sorted(
        zip(points, places, strict=True), key=lambda pair: (not pair[0].own, -pair[0].ratio)
    ):
        color = _OWN if point.own else _PEER
        fill = "white" if point.quoted else color
        parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="4" fill="{fill}" stroke="{color}"/>')
        start, base = _free_place(6.6 * len(point.name), at, left + _PANEL_WIDTH + _GAP / 2, taken)
        parts.append(_text(start, base, point.name, color=color))
    return parts


def _free_place(
    width: float, at: tuple[float, float], right: float, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Where a name of ``width`` starts so that it is near ``at`` and covers nothing ``taken``; takes that."""
    beside = [(8.0, 4.0), (-8 - width, 4.0)]
    above_or_below = [
        (dx, 4.0 + dy) for step in range(12, 100, 6) for dy in (-step, step) for dx in (4, -4 - width)
    ]
    for dx, dy in [*beside, *above_or_below, beside[0]]:
        start, base = at[0] + dx, at[1] + dy
        box = (start, start + width, base - 10, base + 2)
        if box[1] <= right and not any(
            box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3]
            for other in taken
        ):
            break
    taken.append(box)
    return start, base


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, color: str = _INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def _write_png(panels: Sequence[Sequence[Point]], title: str, path: Path) -> None:
    figure = import_module("matplotlib.figure").Figure(
        figsize=(_WIDTH / 100, _HEIGHT / 100), layout="constrained"
    )
    figure.suptitle(title, fontsize=10)
    for place, (direction, points) in enumerate(zip(_DIRECTIONS, panels, strict=True)):
        axes = figure.add_subplot(1, 2, place + 1)
        axes.set_xscale("log")
        axes.set_xlabel(f"{direction}ion speed, bytes a second")
        axes.set_ylabel("ratio")
        axes.grid(color=_FAINT)
        for point in points:
            color = _OWN if point.own else _PEER
            fill = "white" if point.quoted else color
            axes.plot(point.speed, point.ratio, "o", color=color, markerfacecolor=fill)
            axes.annotate(
                point.name, (point.speed, point.ratio), (5, 4), textcoords="offset points", fontsize=8
            )
    figure.savefig(path, dpi=100)


_WRITERS = {".svg": _write_svg, ".png": _write_png}
