"""torch_conv.py - a convolution or one of its gradients, planes as they come."""
import torch
import torch.nn.functional as F

from torch_kinds import kind


@kind
def conv(which, batch, channels, size, outputs, kernel, stride, pad, groups):
    batch, channels, size, outputs, kernel, stride, pad, groups = (
        int(v) for v in (batch, channels, size, outputs, kernel, stride, pad, groups))
    x, w = torch.randn(batch, channels, size, size), torch.randn(outputs, channels // groups, kernel, kernel)
    forward = torch.no_grad()(lambda: F.conv2d(x, w, None, stride, pad, 1, groups))
    if which == "fwd":
        return forward
    u = torch.randn_like(forward())
    wanted = [which == "data", which == "weights", False]
    return lambda: torch.ops.aten.convolution_backward(
        u, x, w, None, [stride, stride], [pad, pad], [1, 1], False, [0, 0], groups, wanted)
