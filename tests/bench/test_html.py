"""The HTML report: one page that needs nothing else, readable by everybody, drawn to scale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import routegen.bench
from routegen.bench import wording
from routegen.bench.metrics import BY_KEY, METRICS
from routegen.bench.records import Recorded, Sample
from routegen.bench.report import as_html, charts, figures
from routegen.bench.report.model import Report, build
from routegen.bench.report.svg import Scale, spanning
from support.bench_runs import DESIGN, make_run, measure

SMALL = msgspec.structs.replace(DESIGN, requests=4)
STYLE = (Path(routegen.bench.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Every element with its attributes and the text directly in it; ends are held to their starts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must end what was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember text with its parent."""
        if data.strip():
            self.inside.append((self._open[-1] if self._open else "", data.strip()))

    def texts(self, tag: str) -> list[str]:
        """The text directly in elements of this kind."""
        return [text for parent, text in self.inside if parent == tag]


@cache
def report() -> Report:
    """Three arms (one the control), one resource sampled, one absent."""
    recorded = measure(make_run("a", "b", design=SMALL, control=True), slower={"b": 1.3})
    samples = [
        Sample(at=float(at), source="engine", subject=name, values={"running_requests": at % 5.0})
        for at in range(0, 200, 3)
        for name in ("a", "b")
    ]
    absent = Sample(at=0.0, source="gpu", subject="", absent="there is no nvidia-smi")
    return build(Recorded(recorded.run, recorded.requests, recorded.blocks, (*samples, absent)))


@cache
def html() -> str:
    return as_html.render(report())


@cache
def page() -> Page:
    return Page(html())


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{3,6});", block))


def schemes() -> Iterator[dict[str, str]]:
    """Light, dark, print."""
    light, dark, paper = (colours(block) for block in re.findall(r":root \{(.*?)\n\s*\}", STYLE, flags=re.DOTALL))
    yield from (light, light | dark, light | paper)


def contrast(one: str, two: str) -> float:
    """WCAG 2.2's contrast ratio."""
    return (max(luminance(one), luminance(two)) + 0.05) / (min(luminance(one), luminance(two)) + 0.05)


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    whole = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    shares = [int(whole[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(share * weight for share, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


# the page


def test_the_verdict_comes_first_in_plain_words() -> None:
    texts = [text for parent, text in page().inside if parent not in {"title", "style"}]
    answer = report().answers[0]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts[1:3]] == [answer.plain, answer.detail]
    assert texts[1].startswith("a is better than b. End to end: ")
    assert page().texts("title")[0] == report().answers[0].plain


def test_the_page_needs_nothing_else() -> None:
    tags = {tag for tag, _ in page().elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image"}
    names = {name for _, attributes in page().elements for name in attributes}
    assert not names & {"src", "href", "xlink:href", "onload", "onclick", "style"}
    assert not re.search(r"@import|url\(|expression\(", html())
    policy = next(given_ for tag, given_ in page().elements if "http-equiv" in given_)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_whatever_users_call_their_engines_is_only_text() -> None:
    name = """<script>alert("1")</script>&'"""
    found = as_html.render(build(measure(make_run(name, "b", design=SMALL, control=True))))
    assert "<script" not in found
    assert any(name in text for _, text in Page(found).inside)


def test_every_drawing_is_named_and_described() -> None:
    drawings = [attributes for tag, attributes in page().elements if tag == "svg" and "aria-hidden" not in attributes]
    assert len(drawings) >= 14, "two comparisons of two, three distributions, the course, a resource, each twice"
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawings)
    assert len(page().texts("desc")) == len(drawings)
    assert page().texts("figcaption")


def test_every_table_has_a_caption_and_headings_that_say_what_they_head() -> None:
    tables = sum(tag == "table" for tag, _ in page().elements)
    assert len(page().texts("caption")) == tables > 5
    assert all("scope" in attributes for tag, attributes in page().elements if tag == "th")


def test_headings_go_down_one_level_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in page().elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_text_and_lines_stand_out_in_light_in_dark_and_on_paper() -> None:
    for scheme in schemes():
        for name in ("ink", "soft", "good", "bad", "note"):
            for ground in ("page", "card"):
                assert contrast(scheme[name], scheme[ground]) >= 4.5, (name, ground, scheme)
        for name in (name for name in scheme if name.startswith("arm")):
            assert contrast(scheme[name], scheme["page"]) >= 3, (name, scheme)


def test_a_phone_gets_drawings_of_its_own_width() -> None:
    widths = [
        float((attributes.get("viewbox") or "").split()[2])
        for tag, attributes in page().elements
        if tag == "svg" and "aria-hidden" not in attributes
    ]
    assert sum(width <= 360 for width in widths) == len(widths) / 2
    assert re.search(r"@media \(max-width: 620px\) \{\s*\.wide \{ display: none; \}", STYLE)


def test_formulas_percentiles_parity_and_absent_sources_are_on_the_page() -> None:
    text = " ".join(text for _, text in page().inside)
    for wanted in (
        *(metric.id for metric in METRICS),
        "n too small: needs 299",
        "longest sequence",
        "not told",
    ):
        assert wanted in text
    assert "gpu: there is no nvidia-smi" in text
    assert "The engines' manifests were not looked at" in text


def test_a_failed_check_stands_above_the_figures() -> None:
    whole = measure(make_run("a", "b", design=SMALL))
    requests = tuple(msgspec.structs.replace(request, prompt_tokens=ord(request.arm)) for request in whole.requests)
    found = Page(as_html.render(build(Recorded(whole.run, requests, whole.blocks, ()))))
    texts = [text for parent, text in found.inside if parent not in {"title", "style"}]
    assert texts[1] == "A check failed: the figures below can't be trusted."
    assert any("prompt tokens differ in 80 of 80 pairs" in text for text in texts[:10])


def test_a_run_without_a_complete_block_still_has_a_page() -> None:
    whole = measure(make_run("a", "b", design=SMALL))
    found = Page(as_html.render(build(Recorded(whole.run, whole.requests, (), ()))))
    assert "No block is complete, so there is nothing to report." in found.texts("p")


def test_the_same_report_is_the_same_page() -> None:
    assert as_html.render(report()) == html()


# the drawings


def test_every_block_is_a_mark_at_its_height() -> None:
    compared = report().compared[0]
    drawn = charts.differences(report(), compared, 540)
    marks = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*><title>block (\d+): ([+-][\d.]+) %', drawn)
    assert [int(block) for _, _, block, _ in marks] == list(range(1, 21))
    heights = {float(y): float(share) for _, y, _, share in marks}
    ordered = sorted(heights.items())
    assert all(later[1] <= earlier[1] for earlier, later in pairwise(ordered)), "a larger difference stands higher"


def test_a_distribution_is_drawn_within_its_frame() -> None:
    drawn = charts.spread(report(), BY_KEY["e2e"], 540)
    lines = re.findall(r'<path d="([^"]+)" class="curve arm(\d)"', drawn)
    assert [int(arm) for _, arm in lines] == [0, 1, 2]
    for line, _ in lines:
        places = [float(value) for value in re.findall(r"H([\d.]+)", line)]
        assert places == sorted(places)
        assert all(58 <= place <= 526 for place in places)


def test_a_wide_spread_is_drawn_on_a_logarithmic_scale() -> None:
    whole = measure(make_run("a", "b", design=SMALL))
    requests = tuple(
        msgspec.structs.replace(request, chunks=(0.01 * 1.1 ** (request.block * 4 + request.prompt),))
        for request in whole.requests
    )
    wide = build(Recorded(whole.run, requests, whole.blocks, ()))
    assert "logarithmic" in charts.spread(wide, BY_KEY["e2e"], 540)
    assert "logarithmic" not in charts.spread(report(), BY_KEY["e2e"], 540)


def test_an_interval_without_end_leaves_room_for_the_blocks() -> None:
    endless = {"low": -0.99, "high": 1e9, "difference": 0.1}
    compared = msgspec.structs.replace(
        report().compared[0], primary=msgspec.structs.replace(report().compared[0].primary, **endless)
    )
    heights = {
        float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', charts.differences(report(), compared, 540))
    }
    assert max(heights) - min(heights) > 20
    assert wording.change(1e9) == "> +1000 %"
    assert charts.effects(report(), compared, 540).count("whisker") == len(compared.effects)


finite = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(finite, min_size=1, max_size=20))
def test_a_scale_spans_its_values_and_has_round_ticks_inside(values: list[float]) -> None:
    low, high = spanning(values)
    assume(high - low > 1e-6)
    scale = Scale(low, high, 0.0, 100.0)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 12
    assert all(-1e-6 <= scale(tick) <= 100 + 1e-6 for tick in ticks)


@given(st.floats(1e-4, 1e4), st.floats(1.5, 1e5))
def test_a_logarithmic_scale_gives_equal_room_to_equal_factors(low: float, factor: float) -> None:
    scale = Scale(low, low * factor, 0.0, 100.0, log=True)
    assert scale(low * factor**0.5) == pytest.approx(50)
    assert scale(low / 2) == 0.0, "what lies outside is on the edge"
    assert len(scale.ticks(4)) >= 1


@pytest.mark.parametrize(
    ("figure", "value", "title", "amount"),
    [
        ("cpu_cores", 1.25, "CPU (cores)", "1.25"),
        ("memory_bytes", 3e9, "Memory", "3 GB"),
        ("memory_bytes", 12, "Memory", "12 B"),
        ("gpu_percent", 97.4, "GPU (%)", "97 %"),
        ("kv_cache_percent", 8, "KV cache (%)", "8 %"),
        ("power_watts", 312.5, "Power (W)", "312"),
        ("prompt_tokens_per_second", 123456.0, "Prompt tokens (per second)", "123456"),
        ("running_requests", 4, "Running requests", "4"),
    ],
)
def test_a_sampled_figure_is_written_in_its_unit(figure: str, value: float, title: str, amount: str) -> None:
    assert (figures.title(figure), figures.amount(figure, value)) == (title, amount)
