# Writes the files of crates/amdim-files/tests/pth: checkpoints of the authors' code and torch.save files that a reader
# must understand or refuse. Run with PyTorch, on a clone of https://github.com/Philip-Bachman/amdim-public that runs on
# CPUs: python tools/make-pth-samples.py CLONE crates/amdim-files/tests/pth
import collections
import json
import math
import os
import sys
import zipfile

import torch

clone, out = sys.argv[1], sys.argv[2]
sys.path.insert(0, clone)
from model import Model  # noqa: E402

SIDE, BATCH = 32, 2


def made_model():
    """A small Model in which every tensor has values of its own."""
    torch.manual_seed(1)
    model = Model(ndf=2, n_classes=3, n_rkhs=8, tclip=15.0, n_depth=2, encoder_size=SIDE, use_bn=True)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.startswith("g2l_loss"):
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(7)
            else:
                tensor.normal_(0.0, 0.3)
    return model


def pictures():
    """Pictures that any language can make: sin(0.37 i)."""
    count = BATCH * 3 * SIDE * SIDE
    values = [math.sin(0.37 * i) for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).reshape(BATCH, 3, SIDE, SIDE)


def features(model):
    model.eval()
    with torch.no_grad():
        maps = model.encoder(pictures())
        logits = model.evaluator(maps[0])
    named = dict(zip(["global", "local5", "local7", "mlp", "linear"], [*maps, *logits]))
    return {name: [round(v, 6) for v in tensor.flatten().tolist()] for name, tensor in named.items()}


def checkpoint(model, state=None):
    """What the authors' Checkpointer saves."""
    cursor = {"info_epoch": 3, "info_step": 1200, "classifier_epoch": 0, "classifier_step": 0}
    return {"model": state or model.state_dict(), "hyperparams": model.hyperparams, "cursor": cursor}


def save(name, value, legacy=False):
    torch.save(value, os.path.join(out, name), _use_new_zipfile_serialization=not legacy)


def rewrite(name, source, change, skip=()):
    """A zip file again, its entries as `change(name, bytes)` makes them."""
    with zipfile.ZipFile(os.path.join(out, source)) as old:
        entries = {entry: old.read(entry) for entry in old.namelist() if entry.split("/", 1)[1] not in skip}
    with zipfile.ZipFile(os.path.join(out, name), "w") as new:
        for entry, data in entries.items():
            new.writestr(zipfile.ZipInfo(entry), change(entry.split("/", 1)[1], data))


def on_cuda(entry, data):
    return data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0") if entry == "data.pkl" else data


class Malicious:
    def __reduce__(self):
        return os.system, ("true",)


model = made_model()
save("zip.pth", checkpoint(model))
rewrite("zip.pth", "zip.pth", on_cuda)

# Half precision, wrapped in DataParallel, legacy form, and without what the authors' loader does not read.
halves = collections.OrderedDict(
    ("module." + name, tensor.half() if tensor.is_floating_point() else tensor)
    for name, tensor in model.state_dict().items()
)
value = checkpoint(model, halves)
del value["cursor"], value["hyperparams"]["tclip"]
save("legacy-half.pth", value, legacy=True)

base = torch.arange(24, dtype=torch.float32)
grid = base.reshape(4, 6)
views = collections.OrderedDict(
    transposed=grid.t(),
    part=grid[1:3, 2:5],
    steps=base[1::5],
    scalar=base[5],
    doubles=torch.tensor([1.5, -2.0], dtype=torch.float64),
    bfloats=torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    longs=torch.tensor([[1, -2]], dtype=torch.int64),
    truths=torch.tensor([True, False]),
    empty=torch.zeros(0, 3),
)
for name, legacy in [("views-zip.pth", False), ("views-legacy.pth", True)]:
    save(name, {"model": views}, legacy)

save("malicious-zip.pth", {"model": Malicious()})
save("malicious-legacy.pth", {"model": Malicious()}, legacy=True)
rewrite("big-endian.pth", "views-zip.pth", lambda entry, data: b"big" if entry == "byteorder" else data)
rewrite("missing-storage.pth", "views-zip.pth", lambda _, data: data, skip=("data/0",))
with open(os.path.join(out, "expected.json"), "w") as file:
    json.dump({"torch": torch.__version__, "features": features(model)}, file)
    file.write("\n")
