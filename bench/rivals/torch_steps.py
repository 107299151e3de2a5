#!/usr/bin/env python3
"""torch_steps.py - training steps with PyTorch, timed on demand; usage: torch_steps.py THREADS

Reads requests, a line each, and answers each with a line that holds a number:
  load eager|script HIDDEN OBJECTIVE BATCH WIDTH...   -> the number of the model
  run MODEL STEPS                                     -> the seconds that the steps took
Once at the beginning it says 1: it is ready.
"""
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit(1)

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def load(mode, hidden, objective, batch, *widths):
    batch, widths = int(batch), [int(w) for w in widths]
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[hidden]()]
    layers[-1:] = [] if objective == "cross_entropy" else [nn.Sigmoid()]
    model = nn.Sequential(*layers)
    if mode == "script":
        model = torch.jit.script(model)
    x = torch.rand(batch, widths[0])
    if objective == "cross_entropy":
        loss, target = F.cross_entropy, torch.randint(widths[-1], (batch,))
    else:
        loss, target = F.mse_loss, x if objective == "reconstruction" else torch.rand(batch, widths[-1])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss(model(x), target).backward()
        optimiser.step()

    return step


def run(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    models = []
    print(1, flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "load":
            models.append(load(*words))
            run(models[-1], 3)
            print(len(models) - 1, flush=True)
        else:
            print(f"{run(models[int(words[0])], int(words[1])):.9f}", flush=True)


main()
