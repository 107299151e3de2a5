"""torch_elementwise.py - functions of elements and of rows, into memory that is there already where PyTorch can."""
import torch
import torch.nn.functional as F

from torch_kinds import kind


@kind
def elementwise(name, n):
    x, y = torch.rand(int(n)) * 4 - 2, torch.empty(int(n))
    function = getattr(torch, name)
    return torch.no_grad()(lambda: function(x, out=y))


@kind
def chain(n):
    x, w, b, r = (torch.rand(int(n)) for _ in range(4))

    @torch.jit.script
    def expression(x, w, b, r):
        return torch.tanh(x * w + b) * 0.5 + r

    return torch.no_grad()(lambda: expression(x, w, b, r))


@kind
def softmax(rows, cols):
    x, y = torch.rand(int(rows), int(cols)), torch.empty(int(rows), int(cols))
    return torch.no_grad()(lambda: torch.softmax(x, 1, out=y))


@kind
def layer_norm(rows, cols):
    x = torch.rand(int(rows), int(cols))
    weight, bias = torch.rand(int(cols)), torch.rand(int(cols))
    return torch.no_grad()(lambda: F.layer_norm(x, (int(cols),), weight, bias))
