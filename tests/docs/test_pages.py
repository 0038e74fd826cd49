"""Pages can be found: links lead to headings that are there, no page stands alone, lists of pages are complete."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md"), ROOT / "benchmarks" / "README.md"]


def test_every_link_to_a_heading_leads_to_one() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {file}#{heading}"
        for page in PAGES
        for file, heading in re.findall(r"\]\(([^)#:\s]*)#([^)\s]*)\)", page.read_text())
        if (target := page.parent / file if file else page).suffix == ".md" and heading not in _anchors(target)
    ]
    assert broken == []


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / file).resolve()
        for page in PAGES
        for file in re.findall(r"\]\(([^)#:\s]+)", page.read_text())
        if (page.parent / file).resolve() != page
    }
    alone = [page.relative_to(ROOT).as_posix() for page in PAGES if page.resolve() not in linked]
    assert [page for page in alone if page != "README.md"] == []


def test_the_list_of_decisions_is_complete_and_each_has_a_number_of_its_own() -> None:
    files = sorted(page.name for page in (DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(r"^(\d+)\. \[.*\]\((.*)\)$", (DOCS / "decisions" / "README.md").read_text(), re.MULTILINE)
    assert [name for _, name in listed] == files
    assert [int(number) for number, _ in listed] == [int(name[:4]) for name in files] == [*range(1, len(files) + 1)]


def test_the_reference_lists_its_sections() -> None:
    text = _prose(DOCS / "routes-yaml.md")
    listed = re.findall(r"^- \[(.*)\]\(#", text.partition("\n## ")[0], re.MULTILINE)
    assert listed == re.findall(r"^## (.*)$", text, re.MULTILINE)


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: small letters, no punctuation, hyphens for spaces, a number for the second."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", _prose(page)), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
    seen: Counter[str] = Counter()
    anchors = set()
    for slug in slugs:
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors
