#!/bin/sh
# symbols.sh - the shared library exports exactly what the public headers declare, and calls nothing that prints or
# ends the program.
# usage: symbols.sh LIBRARY HEADER...
set -eu
export LC_ALL=C
library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A declaration: RG_API ... rg_name( ; it may go on over lines, but never before its name.
sed -n 's/^RG_API [^(]*[ *]\(rg_[a-z0-9_]*\)(.*/\1/p' "$@" | sort -u >"$work/declared"
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort -u >"$work/exported"
nm -D --undefined-only "$library" | awk '{ print $2 }' | sed 's/@.*//' | sort -u >"$work/wanted"

failed=0
if ! [ -s "$work/declared" ]; then
    echo "no declaration found in the headers"
    failed=1
fi
if ! cmp -s "$work/declared" "$work/exported"; then
    echo "declared but not exported (<), exported but not declared (>):"
    diff "$work/declared" "$work/exported" | grep '^[<>]' || true
    failed=1
fi
if grep -xE '_?_?(abort|exit|_exit|_Exit|quick_exit|v?printf(_chk)?|v?fprintf(_chk)?|f?put[sc]|f?putc(har)?|perror|assert_fail|longjmp)' "$work/wanted" >"$work/dies"; then
    echo "the library must not call:"
    cat "$work/dies"
    failed=1
fi
exit $failed
