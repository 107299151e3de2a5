#!/usr/bin/env python3
"""examples.py - the examples as Markdown pages with highlighted code; usage: examples.py OUTPUT-DIRECTORY EXAMPLES-DIRECTORY"""
import sys
from pathlib import Path


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for source in sorted(Path(sys.argv[2]).glob("*.c")):
        code = source.read_text(encoding="utf-8")
        (out / f"example_{source.stem}.md").write_text(
            f"# {source.name}\n\nOne of [the examples](@ref guide_examples).\n\n```c\n{code}```\n", encoding="utf-8")


main()
