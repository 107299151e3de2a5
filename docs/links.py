#!/usr/bin/env python3
"""links.py - finds links that lead nowhere; usage: links.py HTML-DIRECTORY | MARKDOWN-FILE...

In Markdown: relative links to files. In HTML: links and pictures to files, and to places within them. Links to the web are
left alone.
"""
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(path.read_text(encoding="utf-8", errors="replace"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


def web(link):
    return re.match(r"[a-z]+:", link) is not None


def check_html(root):
    pages = {path: Page(path) for path in root.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            if web(link):
                continue
            name, _, place = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists():
                yield f"{path}: {link}: there is no such file"
            elif place and target in pages and place not in pages[target].places:
                yield f"{path}: {link}: there is no such place"


def check_markdown(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name = link.partition("#")[0]
        if not web(link) and name and not (path.parent / name).exists():
            yield f"{path}: {link}: there is no such file"


def main():
    paths = [Path(p).resolve() for p in sys.argv[1:]]
    faults = [f for p in paths for f in (check_html(p) if p.is_dir() else check_markdown(p))]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


sys.exit(main())
