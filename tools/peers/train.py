"""Times the authors' PyTorch code: one training step of two views, or encoding. Prints one JSON line.

Needs torch, and AMDIM_REFERENCE: a folder of the authors' repository (github.com/Philip-Bachman/amdim-public) in which
the calls that need a GPU or apex were taken out. The step is theirs: both views forward, the losses and the penalty,
both classifiers, backward, Adam with their settings.
"""
import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument('--mode', choices=['train', 'encode'], default='train')
parser.add_argument('--size', type=int, default=32)
parser.add_argument('--ndf', type=int, default=32)
parser.add_argument('--rkhs', type=int, default=256)
parser.add_argument('--depth', type=int, default=3)
parser.add_argument('--batch', type=int, default=64)
parser.add_argument('--precision', choices=['f32', 'bf16'], default='f32')
parser.add_argument('--channels-last', action='store_true')
parser.add_argument('--steps', type=int, default=10)
parser.add_argument('--warmup', type=int, default=2)
parser.add_argument('--threads', type=int, default=2)
args = parser.parse_args()

sys.path.insert(0, os.environ['AMDIM_REFERENCE'])
import torch

torch.set_num_threads(args.threads)
torch.manual_seed(1)
from costs import loss_xent
from model import Model

with contextlib.redirect_stdout(io.StringIO()):
    model = Model(ndf=args.ndf, n_classes=10, n_rkhs=args.rkhs, tclip=20.0, n_depth=args.depth,
                  encoder_size=args.size, use_bn=False)
model.init_weights(init_scale=1.0)
groups = [{'params': module.parameters(), 'lr': 2e-4} for module in model.info_modules + model.class_modules]
optimizer = torch.optim.Adam(groups, lr=2e-4, betas=(0.8, 0.999), weight_decay=1e-5, eps=1e-8)
views = [torch.randn(args.batch, 3, args.size, args.size) for _ in range(2)]
labels = torch.randint(0, 10, (args.batch,)).repeat(2)
if args.channels_last:
    model = model.to(memory_format=torch.channels_last)
    views = [view.to(memory_format=torch.channels_last) for view in views]
if args.mode == 'encode':
    model.eval()


def precision():
    if args.precision == 'bf16':
        return torch.autocast('cpu', dtype=torch.bfloat16)
    return contextlib.nullcontext()


def train():
    with precision():
        result = model(x1=views[0], x2=views[1], class_only=False)
        mlp, linear = result['class']
        loss = (result['g2l_1t5'] + result['g2l_1t7'] + result['g2l_5t5'] + result['lgt_reg']
                + loss_xent(mlp, labels) + loss_xent(linear, labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def encode():
    with precision():
        model.encode(views[0], no_grad=True)


step = train if args.mode == 'train' else encode
for _ in range(args.warmup):
    step()
seconds = []
for _ in range(args.steps):
    began = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - began)
print(json.dumps({
    'images_per_s': args.batch / statistics.median(seconds),
    'max_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    'torch': torch.__version__,
}))
