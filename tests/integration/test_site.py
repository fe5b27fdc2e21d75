"""The documentation site is built without a warning, and loads nothing from elsewhere; what is generated is up to date."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM, CHROMEDRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
"""tags that load what an attribute names"""


def tool(name: str):
    spec = spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("material")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Documentation built" in said  # --quiet would silence the warnings that --strict counts
    assert "WARNING" not in said
    return out


def loaded(page: Path) -> Iterator[str]:
    found: list[str] = []

    class Loads(HTMLParser):
        def handle_starttag(self, tag, attrs):
            given = dict(attrs)
            if tag in LOADED and given.get("rel") not in {"next", "prev", "canonical"}:
                found.append(given.get(LOADED[tag]) or "")

    Loads().feed(page.read_text(encoding="utf-8"))
    yield from found


def test_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    assert not [(page.name, place) for page in pages for place in loaded(page) if re.match("[a-z]+:|//", place)]
    styles = "".join(style.read_text() for style in site.rglob("*.css"))
    assert not re.findall(r"url\(['\"]?https?:|@import", styles)


def test_every_public_name_is_in_the_reference(site):
    import eden_core

    text = (site / "reference-api.html").read_text(encoding="utf-8")
    assert [name for name in eden_core.__all__ if f'id="eden_core.{name}"' not in text] == []


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="there is no chromium")
def test_a_page_that_is_opened_as_a_file_can_be_searched(site):
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1280,1000"):
        options.add_argument(f"--{argument}")
    with webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER)) as browser:

        def found(text: str) -> list[str]:
            browser.get((site / "index.html").as_uri())
            browser.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys(text)
            links = (By.CSS_SELECTOR, ".md-search-result__link")
            shown = WebDriverWait(browser, 20).until(lambda _: browser.find_elements(*links))
            return [link.get_attribute("href").split("/")[-1].partition("?")[0] for link in shown]

        for message in (
            "it was built for other sequences",
            "ended unexpectedly with signal 9",
            "global_batch_size 10 is no multiple",
        ):
            assert found(message)[0] == "errors.html"
        assert "errors.html" in found("StaleIndexError")[:10]


def test_links_lead_to_pages_and_name_sources(site):
    text = (site / "writing-a-plugin.html").read_text(encoding="utf-8")
    assert "<code>plugins/eden_control_tags/__init__.py</code>" in text
    assert 'href="../plugins' not in text
    assert 'href="writing-a-plugin.html"' in (site / "loss.html").read_text(encoding="utf-8")
    assert "<h1" in (site / "changes.html").read_text(encoding="utf-8")


def test_the_reference_of_commands_is_up_to_date():
    written = (ROOT / "docs" / "reference-cli.md").read_text(encoding="utf-8")
    assert written == tool("cli_reference").page(), "run: python tools/cli_reference.py"


def test_the_diagrams_are_up_to_date():
    for name, text in tool("diagrams").diagrams().items():
        written = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
        assert written == text, f"{name}: run: python tools/diagrams.py"
