"""torch_recurrent.py - recurrent layers, and training steps of networks of them."""
import torch
import torch.nn.functional as F
from torch import nn

from torch_kinds import kind


@kind
def recurrent(name, steps, batch, inputs, hidden):
    layer = getattr(nn, name)(int(inputs), int(hidden))
    x = torch.rand(int(steps), int(batch), int(inputs)).sub_(0.5).requires_grad_()
    ct = torch.rand(int(steps), int(batch), int(hidden)) - 0.5

    def step():
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x)[0].backward(ct)

    return step


def training(model, inputs, loss):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss(model(*inputs)).backward()
        optimiser.step()

    return step


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(96, 256, 2), nn.Linear(256, 96)

    def forward(self, x):
        return self.out(self.lstm(x)[0]).flatten(0, 1)


@kind
def charlstm():
    following = torch.randint(96, (64 * 32,))
    letters = F.one_hot(torch.randint(96, (64, 32)), 96).float()
    return training(Letters(), (letters,), lambda y: F.cross_entropy(y, following))


class Translation(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.write = nn.Embedding(1000, 128), nn.Embedding(1000, 128)
        self.encoder, self.decoder, self.out = nn.GRU(128, 256), nn.GRU(384, 256), nn.Linear(256, 1000)

    def forward(self, x, y):
        _, context = self.encoder(self.read(x))
        seen = torch.cat([self.write(y), context.expand(y.size(0), -1, -1)], 2)
        return self.out(self.decoder(seen, context)[0]).flatten(0, 1)


@kind
def seq2seq():
    x, y = torch.randint(1000, (20, 32)), torch.randint(1000, (20, 32))
    wanted = torch.randint(1000, (20 * 32,))
    return training(Translation(), (x, y), lambda z: F.cross_entropy(z, wanted))


class Mixing(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.wz, self.uz, self.wr, self.ur, self.wn = (nn.Parameter(torch.randn(n, n) * 0.05) for _ in range(5))
        self.bz, self.br, self.bn = (nn.Parameter(torch.zeros(n)) for _ in range(3))

    def forward(self, xs):
        h = torch.zeros(xs.size(1), xs.size(2))
        for t in range(xs.size(0)):
            x = xs[t]
            z = torch.sigmoid(x @ self.wz + h @ self.uz + self.bz)
            r = torch.sigmoid(x @ self.wr + h @ self.ur + self.br)
            m = torch.tanh((x * (1 - r) + h * r) @ self.wn + self.bn)
            h = (1 - z) * h + z * m
        return h


@kind
def varcell():
    model = torch.jit.script(Mixing(128))
    return training(model, (torch.rand(64, 32, 128) - 0.5,), lambda h: h.square().mean())
