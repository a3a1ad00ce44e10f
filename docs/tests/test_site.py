"""The built site, as files and in a browser without a network: ``make test-docs``.

Chromium is found by name or by the variable CHROMIUM. Where it is missing, the tests in the browser
are skipped, with the reason; the others look at the files.
"""

import os
import re
import shutil
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tools.site import gallery, gather, names

SITE = gather.ROOT / "build" / "docs"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts  # templates of the theme
)
WIDTHS = (390, 1280)

# Pages of the sources' text, which Sphinx makes for links to definitions.
LISTINGS = [page for page in PAGES if page.startswith("_modules/")]
READ = [page for page in PAGES if page not in LISTINGS]


def test_the_site_is_built() -> None:
    assert "index.html" in PAGES, "make docs builds the site"


# --- files ---


class Links(HTMLParser):
    """The links, resources and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.update(value for name in ("id", "name") if (value := found.get(name)))
        if tag == "a" and found.get("href"):
            self.targets.append(str(found["href"]))
        if tag in {"script", "img", "iframe", "source"} and found.get("src"):
            self.loaded.append(str(found["src"]))
        if tag == "link" and found.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loaded.append(str(found["href"]))


@pytest.fixture(scope="module")
def links() -> dict[str, Links]:
    return {page: Links((SITE / page).read_text("utf-8")) for page in PAGES}


def test_every_link_inside_the_site_leads_somewhere(links: dict[str, Links]) -> None:
    broken = []
    for page, found in links.items():
        for target in (*found.targets, *found.loaded):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
            inside = os.path.relpath(path.resolve(), SITE)
            if not path.exists():
                broken.append(f"{page}: {target}")
            elif inside in links and unquote(parts.fragment) not in links[inside].ids | {""}:
                broken.append(f"{page}: {target} (no such place)")
    assert broken == [], "\n".join(broken)


def test_nothing_is_loaded_from_elsewhere(links: dict[str, Links]) -> None:
    elsewhere = [
        f"{page}: {target}"
        for page, found in links.items()
        for target in found.loaded
        if urlsplit(target).netloc or urlsplit(target).scheme not in {"", "data"}
    ]
    assert elsewhere == []
    for path in SITE.rglob("*.css"):
        remote = re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", path.read_text())
        assert remote == [], path


def test_every_public_name_is_in_the_index_of_the_site() -> None:
    data = (SITE / "objects.inv").read_bytes()
    index = zlib.decompress(data.split(b"\n", 4)[4]).decode()
    known = {line.split(" ")[0]: line.split(" ")[3] for line in index.splitlines()}
    for public in names.public_names():
        assert public.path in known, f"{public.path} has no page"
        assert (SITE / f"{public.page}.html").exists()


def test_every_page_of_the_reference_shows_an_example() -> None:
    for public in names.public_names():
        if public.kind != "data":
            text = (SITE / f"{public.page}.html").read_text("utf-8")
            assert "&gt;&gt;&gt;" in text, public.page


def test_every_chapter_has_its_outputs_and_folded_solutions() -> None:
    for path in gather.notebooks():
        inside = path.relative_to(gather.ROOT / "notebooks").with_suffix(".html")
        text = (SITE / "chapters" / inside).read_text("utf-8")
        assert text.count("<img") + text.count("<svg") >= len(gallery.figures(path)), inside
        solutions = path.with_suffix(".py").read_text("utf-8").count('tags=["solution:')
        assert text.count("<details>") >= solutions, inside


def test_every_figure_is_in_the_gallery(links: dict[str, Links]) -> None:
    for path in gather.notebooks():
        for figure in gallery.figures(path):
            assert figure.address in links["gallery.html"].targets


# --- the browser ---


def chromium() -> str | None:
    """Return the path of Chromium."""
    known = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, known)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    path = chromium()
    if path is None:
        pytest.skip("Chromium is missing: apt-get install chromium, or set CHROMIUM to its path")
    with playwright.sync_playwright() as play:
        # a page needs no network: every name is unknown
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        flags += ["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"]
        found = play.chromium.launch(executable_path=path, args=flags)
        yield found
        found.close()


class Visit:
    """A tab, with what its pages wrote to the console, and the files that failed to load."""

    def __init__(self, browser, width: int) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.problems: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.problems.append(request.url))

    def _said(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type}: {message.text}")

    def open(self, page: str) -> None:
        path, _, query = page.partition("?")
        url = (SITE / path).as_uri() + (f"?{query}" if query else "")
        self.page.goto(url, wait_until="load")
        self.page.evaluate("() => window.MathJax?.startup?.promise")


# The page and the box of its text must not scroll sideways; a table or a listing may.
TOO_WIDE = """() => {
  const scrolls = (e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
  const inner = (e, box) => { for (e = e.parentElement; e && e !== box; e = e.parentElement)
    if (scrolls(e)) return true; return false; };
  const parts = "html, body, main, .bd-content, .bd-article-container, article";
  return [...document.querySelectorAll(parts)]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .flatMap((box) => [...box.querySelectorAll("*")]
      .filter((e) => e.getBoundingClientRect().right > box.getBoundingClientRect().right + 1)
      .filter((e) => !inner(e, box))
      .map((e) => "too wide: " + e.tagName + " " + e.textContent.trim().slice(0, 50))
      .slice(-2).concat(box.tagName + " is " + box.scrollWidth + " wide"));
}"""

# Formulas that are not drawn, or drawn as an error.
NOT_TYPESET = """() => [...document.querySelectorAll(".math")]
  .filter((e) => !e.querySelector("mjx-container svg") || e.querySelector("[data-mml-node=merror]"))
  .map((e) => e.textContent.slice(0, 80))"""


def test_pages_fit_and_report_no_error(browser) -> None:
    visit = Visit(browser, WIDTHS[1])
    wrong: dict[str, list[str]] = {}
    formulas = 0
    for page in READ:
        visit.problems.clear()
        visit.page.set_viewport_size({"width": WIDTHS[1], "height": 900})
        visit.open(page)
        found = [f"not typeset: {text}" for text in visit.page.evaluate(NOT_TYPESET)]
        found += visit.page.evaluate(TOO_WIDE)
        visit.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        found += [*visit.page.evaluate(TOO_WIDE), *visit.problems]
        formulas += visit.page.locator("mjx-container").count()
        if found:
            wrong[page] = found
    report = "\n".join(f"{page}: {line}" for page, found in wrong.items() for line in found)
    assert wrong == {}, report
    assert formulas > 100, "the chapters have formulas"


def test_listings_report_no_error(browser) -> None:
    visit = Visit(browser, WIDTHS[0])
    for page in LISTINGS[::10]:
        visit.open(page)
        assert visit.problems + visit.page.evaluate(TOO_WIDE) == [], page


@pytest.mark.parametrize("width", WIDTHS)
def test_search_finds_a_layer(browser, width: int) -> None:
    visit = Visit(browser, width)
    visit.open("search.html?q=Conv2D")
    results = visit.page.locator("#search-results li a")
    results.first.wait_for()
    targets = [results.nth(number).get_attribute("href") for number in range(results.count())]
    assert "api/dlfs.Conv2D.html" in str(targets[0]), targets[:5]
    assert visit.problems == []


def test_search_from_the_front_page(browser) -> None:
    visit = Visit(browser, 1280)
    visit.open("index.html")
    visit.page.locator(".search-button__button, .search-button-field").first.click()
    field = visit.page.locator("#pst-search-dialog input[type=search]")
    field.fill("Conv2D")
    field.press("Enter")
    visit.page.locator("#search-results li a").first.wait_for()
    assert visit.problems == []


def test_dark_mode(browser) -> None:
    visit = Visit(browser, 1280)
    visit.page.emulate_media(color_scheme="dark")
    visit.open("index.html")
    background = visit.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    red, green, blue = map(int, re.findall(r"\d+", background)[:3])
    assert red + green + blue < 200, background


def test_a_solution_is_folded_and_opens(browser) -> None:
    visit = Visit(browser, 1280)
    visit.open("chapters/05_convolutions/Code.html")
    solution = visit.page.locator("details", has_text="Solution").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    solution.locator("summary").click()
    assert code.is_visible()


def test_the_checks_of_a_page_can_fail(browser) -> None:
    visit = Visit(browser, WIDTHS[0])
    visit.open("start.html")
    assert visit.page.evaluate(TOO_WIDE) == visit.page.evaluate(NOT_TYPESET) == []
    visit.page.evaluate(
        """() => document.querySelector("main article").insertAdjacentHTML("beforeend",
        '<div style="width: 500px">wide</div><span class="math">x^2</span>')"""
    )
    assert any("wide" in line for line in visit.page.evaluate(TOO_WIDE))
    assert visit.page.evaluate(NOT_TYPESET) == ["x^2"]
    visit.page.evaluate("() => console.error('wrong')")
    visit.page.evaluate("() => fetch('https://example.org').catch(() => 0)")
    assert "error: wrong" in visit.problems
    assert any("example.org" in line for line in visit.problems)
