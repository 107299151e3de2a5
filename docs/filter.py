#!/usr/bin/env python3
"""filter.py - a header as Doxygen wants it, on standard output; usage: filter.py HEADER

The headers carry plain comments. The first of a file becomes its description, one between dashes the name of a section,
one on lines of its own the documentation of what follows, one behind a declaration that of the declaration.
"""
import re
import sys


def escape(body):
    body = re.sub(r"([<>@\\#&])", r"\\\1", body)
    body = re.sub(r"\.\.\.?", "&hellip;", body)  # a point at the beginning of a line would end a list
    body = re.sub(r"(?<!-)--(?!-)", r"\\--", body)  # of an option; two would be made one long dash
    # Doxygen ends the brief description at a point that no letter follows, and then misses the end of the tag.
    return re.sub(r"`([^`]*)`", lambda code: ("'%s'" if re.search(r"\.\W|\.$", code[1]) else "<code>%s</code>") % code[1], body)


def refer(text):
    """Functions that follow another without a line between share its comment: they get a reference to it."""
    lines, first, within, after = [], None, False, False
    for line in text.split("\n"):
        name = re.match(r"RG_API .*?(\w+)\(", line)
        if name and after and "/**" not in line:
            lines.append(f"/** See @ref {first}. */")
        elif name:
            first = name[1]
        lines.append(line)
        within = within or name is not None
        after = within and line.endswith(";")
        within = within and not after
    return "\n".join(lines)


def main():
    with open(sys.argv[1], encoding="utf-8") as header:
        text = header.read()

    def comment(match):
        before = text[text.rfind("\n", 0, match.start()) + 1:match.start()]
        body = match.group(1)
        if match.start() == 0:
            return re.sub(r"^ (\w+\.h) - ", r"/** @file \1\n   ", escape(body)) + "*/"
        if before.lstrip().startswith("#"):
            return f"/**<{escape(body)}*/" if text[match.end()] == "\n" else match.group(0)
        section = re.fullmatch(r" -{2,} (.*?) -{2,}(\s.*)", body, re.DOTALL)
        if section:
            return f"/** @name {escape(section[1])}\n{escape(section[2])}*/"
        return ("/**" if before.strip() == "" else "/**<") + escape(body) + "*/"

    print(refer(re.sub(r"/\*(.*?)\*/", comment, text, flags=re.DOTALL)), end="")


main()
