# Part of tools/check-exports.mjs: compares what exported files compute with the features beside them.
# python check-exports.py torch FOLDER CLONE | onnx FOLDER
import glob
import json
import os
import sys

import numpy as np

TOLERANCE = 2e-5  # of the largest feature


def cases(folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path) as file:
            case = json.load(file)
        pixels = np.array(case["pixels"], dtype=np.float32).reshape(case["shape"]).transpose(0, 3, 1, 2) / 255
        mean, std = (np.array(case[name], dtype=np.float32).reshape(1, 3, 1, 1) for name in ("mean", "std"))
        yield path[: -len(".json")], pixels, (pixels - mean) / std, case["features"]


def compare(what, found, expected):
    expected = np.array(expected, dtype=np.float32)
    difference = np.abs(np.asarray(found).ravel() - expected).max() / np.abs(expected).max()
    print(f"{what}: largest difference {difference:.1e} of the largest feature")
    return difference <= TOLERANCE


def check_torch(folder, clone):
    import torch

    sys.path.insert(0, clone)
    from checkpoint import Checkpointer
    from model import Model

    print(f"torch {torch.__version__}")
    good = True
    for name, _, normalised, features in cases(folder):
        path = f"{name}.pth"
        # The other encoders have no form in the authors' code.
        if not os.path.exists(path):
            continue
        loaded = torch.load(path, weights_only=True)
        model = Model(**loaded["hyperparams"])
        model.load_state_dict(loaded["model"], strict=True)
        models = {"strict": model}
        # The authors' loader builds models without batch norm whatever the file says.
        if not loaded["hyperparams"]["use_bn"]:
            models["Checkpointer"] = Checkpointer().restore_model_from_checkpoint(path)
        for how, model in models.items():
            model.eval()
            with torch.no_grad():
                maps = model.encoder(torch.from_numpy(normalised))
            for layer, found in zip(features, maps):
                good &= compare(f"{os.path.basename(path)} {how} {layer}", found.numpy(), features[layer])
    return good


def check_onnx(folder):
    import onnxruntime

    print(f"onnxruntime {onnxruntime.__version__}")
    good = True
    for name, pixels, normalised, features in cases(folder):
        for path, pictures in ((f"{name}.onnx", normalised), (f"{name}-normalise.onnx", pixels)):
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            for batch in (len(pictures), 3, 1):
                maps = session.run(list(features), {"pictures": pictures[:batch]})
                for layer, found in zip(features, maps):
                    expected = np.array(features[layer]).reshape(len(pictures), -1)[:batch].ravel()
                    good &= compare(f"{os.path.basename(path)} batch {batch} {layer}", found, expected)
    return good


good = check_torch(*sys.argv[2:]) if sys.argv[1] == "torch" else check_onnx(*sys.argv[2:])
print("all within tolerance" if good else "BEYOND TOLERANCE")
sys.exit(0 if good else 1)
