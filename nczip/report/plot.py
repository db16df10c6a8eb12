"""A report as a picture: how small against how fast, compressing on the left and decompressing on the right.

The picture is laid out here in lines, dots and words. An SVG of them needs nothing; a PNG needs matplotlib
(the extra "plot").
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


@dataclass(frozen=True)
class Line:
    start: tuple[float, float]
    end: tuple[float, float]
    color: str


@dataclass(frozen=True)
class Dot:
    center: tuple[float, float]
    color: str
    hollow: bool


@dataclass(frozen=True)
class Words:
    """Text from ``base`` on, or around it, or up to it; ``size`` in pixels, as everything here."""

    base: tuple[float, float]
    text: str
    color: str = _INK
    size: int = 12
    anchor: str = "start"  # or "middle", "end"


Shape = Line | Dot | Words


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
    shapes = _layout(report)
    if not any(isinstance(shape, Dot) for shape in shapes):
        raise ReportError(f"{path}: there is nothing to plot")
    _WRITERS[path.suffix.lower()](shapes, path)


def _layout(report: Report) -> list[Shape]:
    what = report.inputs[0].label if len(report.inputs) == 1 else f"{len(report.inputs)} files"
    size = sum(item.size for item in report.inputs)
    shapes: list[Shape] = [Words((_LEFT, 26), f"{what}, {size:,} bytes; {report.machine}", size=14)]
    shapes += _panel(_LEFT, "compression", _points(report, lambda result: result.compress_speed))
    second = _LEFT + _PANEL_WIDTH + _GAP
    shapes += _panel(second, "decompression", _points(report, lambda result: result.decompress_speed))
    if any(isinstance(shape, Dot) and shape.hollow for shape in shapes):
        shapes.append(Words((_LEFT, _HEIGHT - 12), "hollow: quoted, not run here"))
    return shapes


def _points(report: Report, speed: Callable[[Result], float | None]) -> list[Point]:
    return [
        Point(result.codec, fast, result.ratio, result.codec.startswith("nczip "), result.quoted)
        for result in report.totals
        if not result.trouble and result.ratio is not None and (fast := speed(result)) is not None
    ]


def _panel(left: float, direction: str, points: Sequence[Point]) -> list[Shape]:
    if not points:
        return []
    speeds, ratios = _speed_ticks(points), _ratio_ticks(points)
    right, bottom = left + _PANEL_WIDTH, _TOP + _PANEL_HEIGHT

    def x(speed: float) -> float:
        return left + _PANEL_WIDTH * math.log(speed / speeds[0]) / math.log(speeds[-1] / speeds[0])

    def y(ratio: float) -> float:
        return bottom - _PANEL_HEIGHT * (ratio - ratios[0]) / (ratios[-1] - ratios[0])

    shapes: list[Shape] = [Words((left, _TOP - 10), f"ratio against {direction} speed", size=13)]
    for speed in speeds:
        shapes.append(Line((x(speed), _TOP), (x(speed), bottom), _FAINT))
        shapes.append(Words((x(speed), bottom + 18), _speed_label(speed), anchor="middle"))
    for ratio in ratios:
        shapes.append(Line((left, y(ratio)), (right, y(ratio)), _FAINT))
        shapes.append(Words((left - 8, y(ratio) + 4), f"{ratio:.4g}", anchor="end"))
    levels = sorted((point for point in points if point.own), key=lambda point: point.ratio)
    for one, two in itertools.pairwise(levels):
        shapes.append(Line((x(one.speed), y(one.ratio)), (x(two.speed), y(two.ratio)), _OWN))

    places = [(x(point.speed), y(point.ratio)) for point in points]
    taken = [(at[0] - 5, at[0] + 5, at[1] - 5, at[1] + 5) for at in places]
    for point, at in sorted(
        zip(points, places, strict=True), key=lambda pair: (not pair[0].own, -pair[0].ratio)
    ):
        color = _OWN if point.own else _PEER
        shapes.append(Dot(at, color, hollow=point.quoted))
        base = _free_place(7.0 * len(point.name), at, right + _GAP / 2, taken)
        shapes.append(Words(base, point.name, color))
    return shapes


def _speed_ticks(points: Sequence[Point]) -> list[float]:
    """Powers of ten from at or below the slowest to at or above the fastest."""
    low = math.floor(math.log10(min(point.speed for point in points)))
    high = math.ceil(math.log10(max(point.speed for point in points)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _ratio_ticks(points: Sequence[Point]) -> list[float]:
    """About five round steps around all ratios."""
    low, high = min(point.ratio for point in points), max(point.ratio for point in points)
    rough = max(high - low, 0.02 * high) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * k for k in range(math.floor(low / step - 0.2), math.ceil(high / step + 0.2) + 1)]


def _speed_label(speed: float) -> str:
    for unit, size in (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)):
        if speed >= size:
            return f"{speed / size:g} {unit}"
    return f"{speed:g} B/s"


def _free_place(
    width: float, at: tuple[float, float], right: float, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Where a name of ``width`` starts so that it is near ``at`` and covers nothing ``taken``; takes that."""
    beside = [(8.0, 4.0), (-8 - width, 4.0)]
    farther = [(dx, 4.0 + dy) for step in range(12, 100, 6) for dy in (-step, step) for dx in (4, -4 - width)]
    for dx, dy in [*beside, *farther, beside[0]]:
        start, base = at[0] + dx, at[1] + dy
        box = (start, start + width, base - 10, base + 2)
        if box[1] <= right and not any(
            box[0] < other[1] and other[0] < box[1] and box[2] < other[3] and other[2] < box[3]
            for other in taken
        ):
            break
    taken.append(box)
    return start, base


def _write_svg(shapes: Sequence[Shape], path: Path) -> None:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="system-ui, DejaVu Sans, sans-serif">'
    )
    ground = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    path.write_text("\n".join([head, ground, *map(_element, shapes), "</svg>", ""]), encoding="utf-8")


def _element(shape: Shape) -> str:
    match shape:
        case Line((x1, y1), (x2, y2), color):
            return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'
        case Dot((x, y), color, hollow):
            fill = "white" if hollow else color
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{color}"/>'
        case Words((x, y), text, color, size, anchor):
            return (
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}">'
                f"{escape(text)}</text>"
            )


def _write_png(shapes: Sequence[Shape], path: Path) -> None:
    dots_per_inch, points_per_inch = 100, 72
    figure = import_module("matplotlib.figure").Figure(
        figsize=(_WIDTH / dots_per_inch, _HEIGHT / dots_per_inch), dpi=dots_per_inch
    )
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(_HEIGHT, 0))
    axes.set_axis_off()
    side = {"start": "left", "middle": "center", "end": "right"}
    pixel = points_per_inch / dots_per_inch
    for shape in shapes:
        match shape:
            case Line((x1, y1), (x2, y2), color):
                axes.plot((x1, x2), (y1, y2), color=color, linewidth=pixel, zorder=1)
            case Dot((x, y), color, hollow):
                fill = "white" if hollow else color
                axes.plot(x, y, "o", color=color, markerfacecolor=fill, markersize=8 * pixel, zorder=2)
            case Words((x, y), text, color, size, anchor):
                axes.text(x, y, text, color=color, size=size * pixel, ha=side[anchor], parse_math=False)
    figure.savefig(path)


_WRITERS = {".svg": _write_svg, ".png": _write_png}
