"""Hooks of mkdocs.yml: pages read alike in the repository and on the site.

Pages link to files as they lie in the repository, which is what GitHub and `tests/test_docs.py` follow. On the site those that
are pages become links to them, wherever they lie, and sources become their paths. A block's `<!-- file: … -->` or
`<!-- excerpt: … -->` becomes its title.
"""

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
"""pages that lie beside docs/, and what they are called on the site"""
HOME = {"README.md": "index.md"}
"""pages that are not on the site, and what stands in their place"""
BOOST = {"errors.md": 100, "performance.md": 0.1, "changes.md": 0.1, "public-api.md": 0.1, "reference-api.md": 0.1}
"""what a page weighs in the search, where it is not 1: people look for the words of a message"""

_BLOCK_OR_CODE = r"^(?P<indent> *)(?P<fence>`{3,})[^`].*?^ *(?P=fence)|`[^`\n]+`"
_LINK = r"\[(?P<text>[^\]]*)\]\((?P<target>[^()\s]+)\)"
_FOUND = re.compile(f"{_BLOCK_OR_CODE}|{_LINK}", re.MULTILINE | re.DOTALL)
_TITLED = re.compile(r"^( *)<!-- (?:file|excerpt): (.+?) -->\n( *`{3,}\w+)$", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for source, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page's text with links and titles as the site wants them."""
    page.meta["search"] = {"boost": BOOST.get(page.file.src_uri, 1)}
    places = {str(ROOT / source): name for source, name in HOME.items()}
    places |= {str(file.abs_src_path): file.src_uri for file in files if file.inclusion.is_included()}

    def changed(found: re.Match[str]) -> str:
        if found["target"] is None:
            return found[0] if found["fence"] else found[0].replace(r"\|", "|")  # which only GitHub's tables want
        if ":" in found["target"] or found["target"].startswith("#"):
            return found[0]
        path, mark, anchor = found["target"].partition("#")
        file = (Path(str(page.file.abs_src_path)).parent / unquote(path)).resolve()
        if str(file) in places:
            start = posixpath.dirname(page.file.src_uri)
            return f"[{found['text']}]({posixpath.relpath(places[str(file)], start or '.')}{mark}{anchor})"
        return _named(found["text"], file) if file.exists() else found[0]

    return _TITLED.sub(r'\3 title="\2"', _FOUND.sub(changed, markdown))


def _named(text: str, file: Path) -> str:
    """Return a link's text, and the path that it leads to where it does not say so itself."""
    path = file.relative_to(ROOT).as_posix()
    return text if text.strip("`") in path else f"{text} (`{path}`)"
