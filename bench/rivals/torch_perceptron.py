"""torch_perceptron.py - training steps of perceptrons: forward, loss, backward, SGD."""
import torch
import torch.nn.functional as F
from torch import nn

from torch_kinds import kind

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


@kind
def perceptron(mode, hidden, objective, batch, *widths):
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
