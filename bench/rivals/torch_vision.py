"""torch_vision.py - networks of convolutions: a step of training, or the logits."""
import torch
import torch.nn.functional as F
from torch import nn

from torch_kinds import kind


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def mnistcnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(32 * 144, 128), nn.ReLU(), nn.Linear(128, 10))


def alexnet():
    layers = []
    for inputs, outputs, kernel, stride, pad, pooled in (
            (3, 64, 11, 4, 2, True), (64, 192, 5, 1, 2, True), (192, 384, 3, 1, 1, False), (384, 256, 3, 1, 1, False),
            (256, 256, 3, 1, 1, True)):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, pad), nn.ReLU()] + [nn.MaxPool2d(3, 2)] * pooled
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.side = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.main(x) + self.side(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for i in range(8):
        outputs = 64 << i // 2
        layers.append(Block(inputs, outputs, 2 if i % 2 == 0 and i else 1))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


@kind
def vision(network, batch, what, layout):
    batch, small = int(batch), network in ("lenet", "mnistcnn")
    model = {"lenet": lenet, "mnistcnn": mnistcnn, "alexnet": alexnet, "resnet18": resnet18}[network]()
    x = torch.randn((batch, 1, 28, 28) if small else (batch, 3, 224, 224))
    target = torch.randint(10 if small else 1000, (batch,))
    if layout == "nhwc":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if what == "infer":
        model.eval()
        return torch.inference_mode()(lambda: model(x))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), target).backward()
        optimiser.step()

    return step
