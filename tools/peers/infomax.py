"""Times a training step of local Deep InfoMax in PyTorch: the model and the loss that amdim's preset `dim` has.

Prints one JSON line. Encoder: convolutions of 4x4, stride 2, with batch norm and ReLU, a fully connected layer, a linear
layer to Y. Projections of Y and of the 8x8 map with a residual connection; JSD over all pairs of Y and location of the
batch; a discriminator between sigmoid(Y) and uniform noise. Encoder and discriminator have an Adam each.
"""
import argparse
import json
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument('--batch', type=int, default=64)
parser.add_argument('--width', type=int, default=64)
parser.add_argument('--units', type=int, default=512)
parser.add_argument('--dimensions', type=int, default=64)
parser.add_argument('--prior', type=float, default=0.1)
parser.add_argument('--steps', type=int, default=20)
parser.add_argument('--warmup', type=int, default=3)
parser.add_argument('--channels-last', action='store_true')
parser.add_argument('--threads', type=int, default=2)
args = parser.parse_args()

import torch
from torch import nn
from torch.nn.functional import softplus

torch.set_num_threads(args.threads)
torch.manual_seed(1)


class Projection(nn.Module):
    def __init__(self, inputs, units):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, units, 1, bias=False), nn.BatchNorm2d(units), nn.ReLU(inplace=True),
            nn.Conv2d(units, units, 1, bias=False))
        self.shortcut = nn.Conv2d(inputs, units, 1)
        self.norm = nn.BatchNorm2d(units)

    def forward(self, x):
        return self.norm(self.residual(x) + self.shortcut(x))


class Infomax(nn.Module):
    def __init__(self, width, units, dimensions):
        super().__init__()

        def convolution(inputs, outputs, kernel, stride, padding):
            return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
                                 nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

        self.local = nn.Sequential(convolution(3, width, 4, 2, 1), convolution(width, 2 * width, 4, 2, 1))
        self.top = nn.Sequential(convolution(2 * width, 4 * width, 4, 2, 1),
                                 convolution(4 * width, 16 * width, 4, 1, 0), nn.Conv2d(16 * width, dimensions, 1))
        self.of_vector = Projection(dimensions, units)
        self.of_map = Projection(2 * width, units)

    def forward(self, pictures):
        local = self.local(pictures)
        vector = self.top(local)
        return vector.flatten(1), self.of_vector(vector).flatten(1), self.of_map(local).flatten(2)


model = Infomax(args.width, args.units, args.dimensions)
discriminator = nn.Sequential(nn.Linear(args.dimensions, 1000), nn.ReLU(), nn.Linear(1000, 200), nn.ReLU(),
                              nn.Linear(200, 1))
optimizers = [torch.optim.Adam(part.parameters(), lr=1e-4) for part in (model, discriminator)]
pictures = torch.randn(args.batch, 3, 32, 32)
if args.channels_last:
    model, pictures = model.to(memory_format=torch.channels_last), pictures.to(memory_format=torch.channels_last)
own = torch.eye(args.batch, dtype=torch.bool)


def step():
    vector, queries, keys = model(pictures)
    batch, units, locations = keys.shape
    scores = queries @ keys.transpose(0, 1).reshape(units, batch * locations)
    scores = scores.view(batch, batch, locations)
    loss = softplus(-scores[own]).mean() + softplus(scores[~own]).mean()
    code = torch.sigmoid(vector)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    (loss + args.prior * softplus(-discriminator(code)).mean()).backward()
    optimizers[1].zero_grad(set_to_none=True)
    told = softplus(-discriminator(torch.rand_like(code))).mean() + softplus(discriminator(code.detach())).mean()
    told.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


seconds = []
for index in range(args.warmup + args.steps):
    began = time.perf_counter()
    step()
    if index >= args.warmup:
        seconds.append(time.perf_counter() - began)
print(json.dumps({'images_per_s': args.batch / statistics.median(seconds), 'torch': torch.__version__}))
