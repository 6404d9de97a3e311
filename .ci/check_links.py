"""Check internal links and anchors of the built pages, and links of Markdown files.

Run as `python .ci/check_links.py HTML_FOLDER FILE.md...` from the root of a checkout. External
links are not followed.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src"}
_MARKDOWN = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")
_FENCE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


class _Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {anchor for anchor in (values.get("id"), values.get("name")) if anchor}
        link = values.get(_LINKS.get(tag, ""))
        if link:
            self.links.add(link)


def in_html(folder: Path) -> Iterator[str]:
    """Yield a message for each dead link of the pages below `folder`."""
    pages = {path.resolve(): _Page(path) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{path.relative_to(folder.resolve())}: {link} does not exist"
                continue
            anchor = unquote(parts.fragment)
            if anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{path.relative_to(folder.resolve())}: {link} has no such anchor"


def in_markdown(path: Path) -> Iterator[str]:
    """Yield a message for each dead link of a Markdown file, relative to the repository."""
    for match in _MARKDOWN.finditer(_FENCE.sub("", path.read_text("utf-8"))):
        link = match[1] or match[2]
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        if not target.exists():
            yield f"{path}: {link} does not exist"
        elif parts.fragment and unquote(parts.fragment) not in _slugs(target):
            yield f"{path}: {link} has no such heading"


def _slugs(path: Path) -> set[str]:
    """Return the anchors of headings: lower case, hyphens for spaces, no punctuation."""
    # Inline code is part of a heading; code blocks are not.
    text = _FENCE.sub(
        lambda match: "" if "\n" in match[0] else match[0].strip("`"), path.read_text("utf-8")
    )
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main(arguments: list[str]) -> int:
    """Print the dead links, and return 1 if there are any."""
    folder, *files = map(Path, arguments)
    dead = [*in_html(folder), *(message for file in files for message in in_markdown(file))]
    print("\n".join(dead) or f"{folder} and {len(files)} files: no dead internal link")
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
