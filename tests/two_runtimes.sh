#!/bin/sh
# two_runtimes.sh - a program that brings the OpenMP runtime of another compiler than the library's runs plans in its own
# parallel region and outside of it, with the bits of one thread. Skipped (77) where there is no other compiler with OpenMP.
# usage: two_runtimes.sh SOURCE_ROOT BUILD_ROOT LIBRARY
set -eu
source=$1
build=$2
library=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The runtime that the library needs is not the one to bring.
if ldd "$library" | grep -q libgomp; then
    other=clang theirs=libomp
elif ldd "$library" | grep -q libomp; then
    other=gcc theirs=libgomp
else
    exit 77
fi
flags="-std=c11 -O1 -fopenmp -I$source/include -I$build/include"
# shellcheck disable=SC2086 # the flags are words
"$other" $flags "$source/tests/two_runtimes.c" -o "$work/program" "$library" \
    "-Wl,-rpath,$(dirname "$library")" -lm 2>"$work/log" || exit 77
ldd "$work/program" | grep -q "$theirs" || exit 77
OMP_NUM_THREADS=2 timeout 60 "$work/program"
