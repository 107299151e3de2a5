#!/usr/bin/env python3
"""Writes tests/networks_recorded.h: what PyTorch says, in double precision, about one training step of the networks in
examples/networks.c, and how far it is off in single precision. Needs torch; the tests need only the numbers. Weights and
images are those of test_networks.c."""
import math
import sys

import torch
from torch import nn
import torch.nn.functional as F

def values(n, key):
    """n numbers within [-1, 1), a hash of their place and a key."""
    u = (torch.arange(n, dtype=torch.int64) * 2654435761 + key * 40503) & 0xFFFFFFFF
    u = u ^ (u >> 15)
    u = (u * 2246822519) & 0xFFFFFFFF
    u = u ^ (u >> 13)
    return u.double() / 2**31 - 1


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                         nn.Linear(84, 10))


def alexnet(side):
    left = ((side + 4 - 11) // 4 + 1 - 3) // 2 + 1
    left = ((left - 3) // 2 + 1 - 3) // 2 + 1
    lrn = lambda: nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    return nn.Sequential(nn.Conv2d(3, 96, 11, 4, 2), nn.ReLU(), lrn(), nn.MaxPool2d(3, 2),
                         nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), lrn(), nn.MaxPool2d(3, 2),
                         nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
                         nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
                         nn.Linear(256 * left * left, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
                         nn.Linear(4096, 1000))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + (self.downsample(x) if self.downsample else x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    i = 64
    for n, o in enumerate((64, 128, 256, 512)):
        layers += [Block(i, o, 2 if n else 1), Block(o, o, 1)]
        i = o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def step(net, shape, classes, dtype):
    """Of a training step: losses before and after it, norms of the gradients, norms of the running statistics."""
    net = net.to(dtype)
    for key, (n, p) in enumerate(net.named_parameters()):
        v = values(p.numel(), key).reshape(p.shape)
        if p.dim() > 1:
            v = v * math.sqrt(6 / (p.numel() // p.shape[0]))
        else:
            v = 0.1 * v + (1 if n.endswith("weight") else 0)
        p.data.copy_(v.float())
    x = values(math.prod(shape), 1000).reshape(shape).float().to(dtype)
    t = torch.tensor([7 * i % classes for i in range(shape[0])])
    loss = F.cross_entropy(net(x), t)
    loss.backward()
    norms = [p.grad.double().norm().item() for p in net.parameters()]
    with torch.no_grad():
        for p in net.parameters():
            p -= 1e-4 * p.grad
        statistics = [b.double().norm().item() for n, b in net.named_buffers() if "running" in n]
        after = F.cross_entropy(net(x), t).item()
    return [loss.item(), after], norms, statistics


def distance(a, b):
    return max((abs(x - y) / abs(y) for x, y in zip(a, b)), default=0)


def record(name, make, shape, classes, out):
    losses, norms, statistics = exact = step(make(), shape, classes, torch.float64)
    # One machine's convolutions and another's differ in rounding, and what is next to zero has then another sign.
    rounded = []
    for fast in (True, False):
        with torch.backends.mkldnn.flags(enabled=fast):
            rounded.append(step(make(), shape, classes, torch.float32))
    off = [max(distance(r[k], exact[k]) for r in rounded) for k in range(3)]
    lines = lambda v: ",\n".join("     " + ", ".join(f"{x:.14g}" for x in v[i:i + 5]) for i in range(0, len(v), 5))
    out.write(f"static const recorded {name} = {{{losses[0]:.14g}, {losses[1]:.14g}, {off[0]:.2g}, {off[1]:.2g}, {off[2]:.2g}, "
              f"{len(norms)},\n    {{\n{lines(norms)}}},\n    {{\n{lines(statistics) or '     0'}}}}};\n\n")


with open(sys.argv[1] if len(sys.argv) > 1 else "tests/networks_recorded.h", "w") as out:
    out.write("/* networks_recorded.h - written by tools/record_networks.py: losses before and after a step, norms of the\n"
              "   gradients and of the running statistics, as PyTorch has them in double precision; and how far off, relatively,\n"
              "   its losses, gradients and statistics are in single precision. */\n"
              "/* clang-format off */\n"
              "typedef struct recorded {\n    double loss, after, loss_off, gradients_off, statistics_off;\n    int n;\n"
              "    double gradients[64], statistics[48];\n} recorded;\n\n")
    record("lenet_28", lenet, (4, 1, 28, 28), 10, out)
    record("alexnet_63", lambda: alexnet(63), (2, 3, 63, 63), 1000, out)
    record("resnet18_64", resnet18, (4, 3, 64, 64), 1000, out)
    record("alexnet_224", lambda: alexnet(224), (2, 3, 224, 224), 1000, out)
    record("resnet18_224", resnet18, (2, 3, 224, 224), 1000, out)
    out.write("/* clang-format on */\n")
