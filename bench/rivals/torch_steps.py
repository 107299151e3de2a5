#!/usr/bin/env python3
"""torch_steps.py - work with PyTorch, timed on demand; usage: torch_steps.py THREADS

Reads requests, a line each, and answers each with a line that holds a number:
  load KIND WORD...   -> the number of the step, -1 if that failed
  run NUMBER STEPS    -> the seconds that the steps took
  drop NUMBER         -> 0: it is forgotten
Once at the beginning it says 1: it is ready.

A kind is a function of its words that returns a function of nothing, the step; @kind registers it. Every torch_*.py
beside this file is read.
"""
import glob
import importlib
import os
import sys
import time
import traceback

try:
    import torch
except ImportError:
    sys.exit(1)

from torch_kinds import kinds

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever PyTorch may say is no answer


def answer(text):
    print(text, file=answers, flush=True)


def load(name, *words):
    try:
        step = kinds[name](*words)
        for _ in range(3):
            step()
        return step
    except Exception:
        traceback.print_exc()
        return None


def run(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    here = os.path.dirname(os.path.abspath(__file__))
    for path in glob.glob(os.path.join(here, "torch_*.py")):
        if os.path.abspath(path) != os.path.abspath(__file__):
            importlib.import_module(os.path.basename(path)[:-3])
    steps = []
    answer(1)
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "load":
            steps.append(load(*words))
            answer(len(steps) - 1 if steps[-1] else -1)
        elif verb == "drop":
            steps[int(words[0])] = None
            answer(0)
        else:
            answer(f"{run(steps[int(words[0])], int(words[1])):.9f}")


main()
