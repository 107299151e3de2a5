#!/usr/bin/env python3
"""Writes tests/data/lstm_gru.safetensors: the state dict of a PyTorch module that holds an LSTM and a GRU of two layers in two
directions, under the names PyTorch gives, and beside them, under `recorded.`, a sequence, the states before it, what the layers
make of these, and the gradients. Needs torch; the test needs only the file."""
import json
import struct
import sys

import torch
from torch import nn

STEPS, BATCH, INPUTS, HIDDEN = 6, 3, 5, 4


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, HIDDEN, num_layers=2, bidirectional=True)
        self.gru = nn.GRU(INPUTS, HIDDEN, num_layers=2, bidirectional=True)


def write(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        raw = t.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


torch.manual_seed(5)
module = Layers()
xs = torch.randn(STEPS, BATCH, INPUTS, requires_grad=True)
h0, c0 = torch.randn(4, BATCH, HIDDEN), torch.randn(4, BATCH, HIDDEN)
factors = torch.randn(STEPS, BATCH, 2 * HIDDEN)
tensors = dict(module.state_dict())
tensors.update({"recorded.xs": xs, "recorded.h0": h0, "recorded.c0": c0, "recorded.factors": factors})
for name, layer, first in (("lstm", module.lstm, (h0, c0)), ("gru", module.gru, h0)):
    ys, last = layer(xs, first)
    wrt = [xs] + list(layer.parameters())
    grads = torch.autograd.grad((ys * factors).sum(), wrt)
    tensors[f"recorded.{name}.ys"] = ys
    tensors[f"recorded.{name}.last"] = last[0] if name == "lstm" else last
    tensors[f"recorded.{name}.grad.xs"] = grads[0]
    for (which, _), grad in zip(layer.named_parameters(), grads[1:]):
        tensors[f"recorded.{name}.grad.{which}"] = grad
write(sys.argv[1] if len(sys.argv) > 1 else "tests/data/lstm_gru.safetensors", tensors)
