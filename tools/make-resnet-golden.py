"""Writes crates/amdim-core/tests/golden/resnet.safetensors: numbers of torchvision's residual networks.

The networks are made of torchvision's own blocks, in the way of its class ResNet, but narrow, and at 32 pixels with
the usual first layer for small pictures. Weights and pictures are drawn by a formula that the test knows too, so that
the file holds results alone, in f64:

- NAME.eval.layer1..4, NAME.eval.avgpool: maps in evaluation mode, [batch, channels, height, width]
- NAME.train.avgpool: in training mode
- NAME.running: all running statistics after it, in the order of their names
- NAME.gradient.PARAMETER: the first values of the gradient of sum(avgpool * weights), then its norm

    python tools/make-resnet-golden.py     # torch 2.15, torchvision 0.29, safetensors 0.8
"""

import numpy
import torch
from safetensors.numpy import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

OUT = "crates/amdim-core/tests/golden/resnet.safetensors"
KEPT = 6


class Narrow(nn.Module):
    """torchvision's ResNet without fc, of any width."""

    def __init__(self, block, layers, width, pixels):
        super().__init__()
        self.inplanes = width
        window = dict(kernel_size=3, stride=1, padding=1) if pixels == 32 else dict(kernel_size=7, stride=2, padding=3)
        self.conv1 = nn.Conv2d(3, width, bias=False, **window)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1) if pixels >= 128 else nn.Identity()
        self.layer1 = self.stage(block, width, layers[0], 1)
        self.layer2 = self.stage(block, 2 * width, layers[1], 2)
        self.layer3 = self.stage(block, 4 * width, layers[2], 2)
        self.layer4 = self.stage(block, 8 * width, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))

    def stage(self, block, planes, blocks, stride):
        downsample = None
        out = planes * block.expansion
        if stride != 1 or self.inplanes != out:
            downsample = nn.Sequential(conv1x1(self.inplanes, out, stride), nn.BatchNorm2d(out))
        layers = [block(self.inplanes, planes, stride, downsample)]
        self.inplanes = out
        layers += [block(out, planes) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps, self.avgpool(x)


def drawn(shape, seed):
    """Uniform in [-1, 1): SplitMix64, counted from the seed."""
    with numpy.errstate(over="ignore"):
        index = numpy.arange(1, int(numpy.prod(shape)) + 1, dtype=numpy.uint64)
        z = numpy.uint64(seed) + index * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    values = (z >> numpy.uint64(11)).astype(numpy.float64) / 2.0**52 - 1.0
    return torch.from_numpy(values.reshape(shape))


def fill(model):
    """Parameters and running statistics from their place among the names."""
    state = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    for seed, name in enumerate(sorted(state)):
        values = drawn(tuple(state[name].shape), seed)
        if name.endswith("running_var"):
            values = 1.0 + 0.5 * values
        elif values.dim() > 1:
            values = values * (3.0 / numpy.prod(values.shape[1:])) ** 0.5
        elif name.endswith("weight"):
            values = 1.0 + 0.3 * values
        else:
            values = 0.3 * values
        state[name].copy_(values)


def numbers(name, block, layers, width, pixels, batch):
    model = Narrow(block, layers, width, pixels).double()
    with torch.no_grad():
        fill(model)
    images = drawn((batch, 3, pixels, pixels), 1000)
    tensors = {}
    model.eval()
    with torch.no_grad():
        maps, average = model(images)
    for number, found in enumerate(maps, 1):
        tensors[f"{name}.eval.layer{number}"] = found.numpy()
    tensors[f"{name}.eval.avgpool"] = average.numpy()
    model.train()
    _, average = model(images)
    tensors[f"{name}.train.avgpool"] = average.detach().numpy()
    (average * drawn(tuple(average.shape), 1001)).sum().backward()
    running = {key: value for key, value in model.state_dict().items() if "running" in key}
    tensors[f"{name}.running"] = torch.cat([running[key] for key in sorted(running)]).numpy()
    for key, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        tensors[f"{name}.gradient.{key}"] = torch.cat([gradient[:KEPT], gradient.norm()[None]]).numpy()
    return tensors


tensors = {
    **numbers("resnet18", BasicBlock, [2, 2, 2, 2], 2, 32, 2),
    **numbers("resnet34", BasicBlock, [3, 4, 6, 3], 1, 64, 2),
    **numbers("resnet50", Bottleneck, [3, 4, 6, 3], 1, 128, 2),
}
save_file({key: numpy.ascontiguousarray(value) for key, value in tensors.items()}, OUT)
