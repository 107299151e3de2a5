#!/usr/bin/env python3
"""here.py - writes here.h: one macro a builder, which records the caller's file and line before the call.

usage: here.py OUTPUT HEADER...

A builder is a public function that takes arguments and can fail into the graph's error: it returns a node, a list of
nodes, a scan or a named size, or nothing. Functions of the graph as an object (rg_graph_*) are not builders.
"""
import re
import sys

DECLARATION = re.compile(r"^RG_API (rg_node \*|rg_nodes |const rg_sparse \*|rg_scan \*|int64_t |void )(rg_\w+)\(([^)]*)\)", re.MULTILINE)
NOT_BUILDERS = re.compile(r"rg_graph_|rg_text_free$")

HEAD = """\
/* here.h - where builders are called from, for the messages of errors. Made from the public headers; off with
   RG_NO_LOCATION. */
#ifndef RETROGRADE_HERE_H
#define RETROGRADE_HERE_H

{includes}

#ifdef __cplusplus
extern "C" {{
#endif

/* Sets the location that this thread's next nodes and errors report. */
RG_API void rg_here(const char *file, int line);

#ifdef __cplusplus
}}
#endif

#ifndef RG_NO_LOCATION
#define RG_HERE(call) (rg_here(__FILE__, __LINE__), call)

"""


def builders(path):
    with open(path, encoding="utf-8") as header:
        for _, name, parameters in DECLARATION.findall(header.read()):
            if parameters != "void" and not NOT_BUILDERS.match(name):
                yield name


def main():
    output, *headers = sys.argv[1:]
    with open(output, "w", encoding="utf-8") as here:
        names = [path[path.rindex("retrograde/"):] for path in headers]
        here.write(HEAD.format(includes="\n".join(f"#include <{name}>" for name in names)))
        for path in headers:
            for name in builders(path):
                here.write(f"#define {name}(...) RG_HERE({name}(__VA_ARGS__))\n")
        here.write("#endif\n\n#endif\n")


main()
