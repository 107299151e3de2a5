#!/usr/bin/env python3
"""page.py - the code blocks of a page of the guide as one C program, and whether it prints what the page says.

usage: page.py PAGE OUTPUT.c      writes the program
       page.py --check PAGE EXE   runs it

The C blocks of a page follow each other in one main(), so that a page can be read from top to bottom. A comment in front of
a block says otherwise: <!-- file --> puts it in front of main(), <!-- fails --> says that the block is meant to be wrong and
leaves it out. A block after <!-- prints --> is what the program has printed up to there.
"""
import re
import subprocess
import sys

BLOCK = re.compile(r"(?:<!-- *(\w+) *-->\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for match in BLOCK.finditer(text):
        yield match[1], match[2], match[3], text.count("\n", 0, match.start(3)) + 1


def program(page):
    outside, inside = [], []
    for mark, language, code, line in blocks(page):
        if language == "c" and mark != "fails":
            (outside if mark == "file" else inside).append(f'#line {line} "{page}"\n{code}')
    return "\n".join(
        ["/* made from a page of the guide by docs/page.py */", "#include <retrograde/op.h>", "#include <retrograde/retrograde.h>",
         "#include <math.h>", "#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>", *outside, "int main(void)\n{", *inside,
         "    return 0;\n}", ""])


def main():
    if sys.argv[1] == "--check":
        wanted = "".join(code for mark, _, code, _ in blocks(sys.argv[2]) if mark == "prints")
        run = subprocess.run(sys.argv[3:], capture_output=True, text=True, check=False)
        if run.returncode == 0 and run.stdout == wanted:
            return 0
        print(f"exit code {run.returncode}\n{run.stderr}it prints\n{run.stdout}the page says\n{wanted}", end="")
        return 1
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(program(sys.argv[1]))
    return 0


sys.exit(main())
