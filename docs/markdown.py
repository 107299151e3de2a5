#!/usr/bin/env python3
"""markdown.py - a Markdown page as Doxygen wants it, on standard output; usage: markdown.py PAGE

A page's links lead through the tree, so that they work where the tree is browsed. In the HTML, examples are pages of their
own (see examples.py), and what has no page is named without a link.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "_": "_"}


def main():
    page = Path(sys.argv[1]).resolve()
    text = page.read_text(encoding="utf-8")

    def link(match):
        words, target = " ".join(match[1].split()), match[2]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path = (page.parent / target).resolve()
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else target
        if name == "examples":
            return f"[{words}](@ref guide_examples)"
        if name.startswith("examples/") and name.endswith(".c"):
            # The page of examples is the parent of theirs.
            return f'@subpage example_{path.stem} "{words}"' if page.stem == "examples" else f"[{words}](@ref example_{path.stem})"
        if name == "include/retrograde":
            return f"[{words}](files.html)"
        if path.suffix == ".md":
            return f"[{words}](@ref {label(path)})"
        return words

    def code(match):
        """Doxygen takes an apostrophe for the end of a code span. Names of the interface become links to it."""
        if re.fullmatch(r"rg_[a-z0-9_]+", match[1]):
            return f"[{match[1]}](@ref {match[1]})"
        return "<code>" + re.sub(r"[@\\#&<>*_%]", lambda c: ENTITIES.get(c[0], "\\" + c[0]), match[1]).replace("--", "\\--") + "</code>"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"`([^`\n]+)`", code, parts[i])
        parts[i] = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, parts[i])
    text = "".join(parts)
    if page.name != "README.md":
        text = re.sub(r"^# (.*)$", lambda title: f"# {title[1]} {{#{label(page)}}}", text, count=1, flags=re.MULTILINE)
    print(re.sub(r"<!-- \w+ -->\n+", "", text), end="")


def label(path):
    if path.name == "README.md":
        return "index"
    if path.stem.startswith("example_"):
        return path.stem
    return ("guide_" if path.parent.name == "guide" else "page_") + path.stem.lower()


main()
