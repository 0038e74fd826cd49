"""Published figures -> Markdown tables and a plot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bodies import KB, MB
from summary import ALONE, FLOOR

from routegen.bench.report import svg

Figures = Mapping[str, Any]
ROUTER = "routegen"


def heading(figures: Figures) -> str:
    """Where and under which load it was measured, as a sentence."""
    machine = figures["machine"]
    before, after = (figures["load"][when][0] for when in ("before", "after"))
    return (
        f"Measured on {machine['date']}: {machine['cores']} cores ({machine['processor']}), {machine['system']}, "
        f"Python {machine['python']}, grpcio {machine['grpcio']}, Envoy {machine['envoy']}; "
        f"{figures['rounds']} rounds. Load average before the run {before:.2f}, after it {after:.2f}."
    )


def cost(figures: Figures) -> str:
    """The router beside the floor, a row for each load."""
    rows = []
    for cell in figures["cells"]:
        router, floor = cell["setups"][ROUTER], cell["setups"][FLOOR]
        if "failed" in router or "failed" in floor:
            rows.append([_size(cell), str(cell["at_once"]), "failed", "", "", "", "", ""])
            continue
        rows.append(
            [
                _size(cell),
                str(cell["at_once"]),
                _micros(floor["router_us"][0]),
                _micros(router["router_us"][0]),
                _ratio(router["to_floor"]),
                _ratio(router["to_alone"]),
                f"{cell['setups'][ALONE]['p50_ms'][0]:.1f} → {router['p50_ms'][0]:.1f}",
                f"{router['peak_mb']['router']:.0f}",
            ]
        )
    head = [
        *("body", "at once", "floor, ms", "router, ms", "router ÷ floor", "Envoy + router ÷ Envoy alone"),
        *("median latency, ms: alone → routed", "router's peak, MB"),
    ]
    return _table(head, rows)


def short(figures: Figures) -> str:
    """The README's table: many at once, plain text."""
    rows = []
    for cell in figures["cells"]:
        router = cell["setups"][ROUTER]
        if cell["at_once"] == 1 or cell["shape"] != "plain" or "failed" in router:
            continue
        rows.append(
            [
                f"{_size(cell)}, {cell['at_once']} at once",
                _micros(router["router_us"][0]) + " ms",
                _ratio(router["to_floor"]),
                _ratio(router["to_alone"]),
            ]
        )
    return _table(
        ["body", "router's CPU a request", "÷ bare processor in Python", "Envoy + router ÷ Envoy alone"], rows
    )


def peers(figures: Figures) -> str:
    """Tables of all setups: a row for each, a column for each load."""
    parts = []
    for at_once in ("many", "one"):
        cells = [
            cell
            for cell in figures["cells"]
            if cell["shape"] == "plain" and (cell["at_once"] > 1) == (at_once == "many")
        ]
        titles = [f"{_size(cell)}, {cell['at_once']}" for cell in cells]
        parts += [
            "**CPU of proxy and router, as a multiple of Envoy alone** (size, at once)\n\n"
            + _matrix(cells, titles, lambda one: _ratio(one["to_alone"])),
            "**CPU a request, ms: proxy + router**\n\n"
            + _matrix(cells, titles, lambda one: f"{_micros(one['proxy_us'][0])} + {_micros(one['router_us'][0])}"),
            "**Median latency, ms**\n\n" + _matrix(cells, titles, lambda one: f"{one['p50_ms'][0]:.1f}"),
        ]
        if at_once == "many":
            parts.append(
                "**Peak resident memory, MB: proxy + router**\n\n"
                + _matrix(cells, titles, lambda one: f"{one['peak_mb']['proxy']:.0f} + {one['peak_mb']['router']:.0f}")
            )
    others = [cell for cell in figures["cells"] if cell["shape"] != "plain" and cell["at_once"] > 1]
    if others:
        parts.append(
            "**Other bodies, many at once: CPU as a multiple of Envoy alone**\n\n"
            + _matrix(
                others,
                [f"{cell['shape']}, {_size(cell)}, {cell['at_once']}" for cell in others],
                lambda one: _ratio(one["to_alone"]),
            )
        )
    legend = "\n".join(f"- {name}: {what}" for name, what in figures["legend"].items())
    missing = "".join(f"\n- {name}: not measured, {why}" for name, why in figures["missing"].items())
    return "\n\n".join([*parts, legend + missing])


def variants(figures: Figures) -> str:
    """What each change does, a row for each; ratios to the router and Envoy as they are."""
    cells = figures["cells"]
    head = [""]
    for cell in cells:
        where = f"{_size(cell)}, {cell['at_once']}"
        head += [f"{where}: router", "Envoy and router", "page faults"]
    rows = []
    for name in cells[0]["setups"]:
        row = [figures["legend"][name]]
        for cell in cells:
            one = cell["setups"].get(name)
            if one is None or "failed" in one:
                row += ["" if one is None else _failure(one), "", ""]
            else:
                row += [
                    *(f"{one[part][0]:.2f} ± {one[part][1]:.2f}" for part in ("router", "total")),
                    str(one["faults"]),
                ]
        rows.append(row)
    return _table(head, rows)


def start(figures: Figures) -> str:
    """How fast routegen starts."""
    rows = [
        [f"`{name}`", f"{taken['elapsed_ms']:.0f} ms", f"{taken['cpu_ms']:.0f} ms", f"{taken['peak_mb']:.0f} MB"]
        for name, taken in figures["start"].items()
    ]
    return _table(["", "elapsed", "CPU", "memory"], rows)


def rendering(figures: Figures) -> str:
    """What few and many backends take to render; ratios to the fewest of the target."""
    rows = []
    fewest: dict[str, float] = {}
    for name, taken in figures["rendering"].items():
        least = fewest.setdefault(name.partition(",")[0], taken["cpu_ms"])
        cpu = f"{taken['cpu_ms'] / 1000:.2f} s"
        rows.append([f"`{name}`", cpu, f"{taken['cpu_ms'] / least:.1f}", f"{taken['peak_mb']:.0f} MB"])
    return _table(["", "CPU", "÷ 2 backends", "memory"], rows)


def plot(figures: Figures) -> str:
    """CPU against body size, both axes logarithmic, a line for each setup; an SVG document."""
    cells = [cell for cell in figures["cells"] if cell["shape"] == "plain" and cell["at_once"] > 1]
    names = [name for name in figures["legend"] if name in cells[0]["setups"]]
    points = {
        name: [
            (cell["size"], cell["setups"][name]["total_us"][0] / 1000)
            for cell in cells
            if "failed" not in cell["setups"][name]
        ]
        for name in names
    }
    values = [value for line in points.values() for _, value in line]
    width, height = 760.0, 430.0
    x = svg.Scale(cells[0]["size"], cells[-1]["size"], svg.LEFT, width - 190, log=True)
    y = svg.Scale(min(values) * 0.8, max(values) * 1.2, height - svg.BOTTOM, svg.TOP, log=True)
    drawn = []
    for index, (name, line) in enumerate(points.items()):
        places = [(x(size), y(value)) for size, value in line]
        colour = f"c{index % len(_COLOURS)}"
        drawn.append(svg.path(places, f"line {colour}"))
        drawn += [
            svg.marker(index, *place, f"mark {colour}", f"{name}, {value:.2f} ms")
            for place, (_, value) in zip(places, line, strict=True)
        ]
        level = svg.TOP + 14 + 20 * index
        drawn += [
            svg.marker(index, width - 172, level - 4, f"mark {colour}"),
            svg.text(name, width - 160, level, anchor="start"),
        ]
    axes = svg.axes(
        x,
        y,
        x_label=lambda _: "",
        y_label=lambda value: f"{value:g}",
        x_title="body",
        y_title="CPU a request, ms: proxy and router",
    )
    labels = [svg.text(_bytes(cell["size"]), x(cell["size"]), y.start + 17) for cell in cells]
    what = "CPU time of proxy and router a request against the body's size, 32 at once (8 at 8 MB)"
    drawing = svg.chart(
        width, height, "What a request costs", what, svg.element("style", _style()), axes, *labels, *drawn
    )
    return str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


_COLOURS = (
    "#777777",
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8b6f00",
    "#7a4fbf",
    "#a02c2c",
)


def _style() -> Any:
    rules = [
        "svg{background:#fff}text{font:12px sans-serif;fill:#333}.strong{font-weight:600}",
        ".grid{stroke:#e4e4e4}.axis{stroke:#888}.line{fill:none;stroke-width:2}",
        *(f".line.c{index}{{stroke:{colour}}}.mark.c{index}{{fill:{colour}}}" for index, colour in enumerate(_COLOURS)),
    ]
    return "".join(rules)


def _matrix(cells: list[Any], titles: list[str], value: Callable[[Any], str]) -> str:
    names = list(dict.fromkeys(name for cell in cells for name in cell["setups"]))
    rows = []
    for name in names:
        row = [name]
        for cell in cells:
            one = cell["setups"].get(name)
            row.append("" if one is None else _failure(one) if "failed" in one else value(one))
        rows.append(row)
    return _table(["", *titles], rows)


def _failure(one: Mapping[str, Any]) -> str:
    return "answers " + ", ".join(sorted(one["failed"]))


def _ratio(spread: list[float]) -> str:
    return f"{spread[0]:.2f} ({spread[1]:.2f} to {spread[2]:.2f})"


def _micros(value: float) -> str:
    return f"{value / 1000:.3f}" if value < 10_000 else f"{value / 1000:.1f}"  # noqa: PLR2004 - four digits


def _size(cell: Mapping[str, Any]) -> str:
    return _bytes(cell["size"]) + ("" if cell["shape"] == "plain" else f" {cell['shape']}")


def _bytes(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB" if size >= KB else f"{size} B"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
