"""Speed of the authors' input pipeline (torchvision on Pillow, one thread), and of ours beside it.

    python tools/peers/data.py --reference AMDIM_REFERENCE --cifar cifar10-jpeg.tar.gz --jpegs FOLDER --ours PROGRAM

Takes the transforms from the authors' datasets.py, so nothing of it is written twice. CIFAR-10 is decoded into memory
first; of JPEG files each pair is read, decoded and augmented. With --ours, the built example `data_speed` of
crates/amdim-data, both sides are measured in alternation, `--rounds` times, and the ratio of each round is given.
Prints one JSON object.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time


def main():
    options = parse_options()
    sys.path.insert(0, options.reference)
    import datasets  # the authors' file
    import PIL
    import torch
    import torchvision

    torch.set_num_threads(1)
    cases = []
    if options.cifar:
        pictures = cifar_pictures(options.cifar)
        cases.append(("cifar", "exact", datasets.TransformsC10(), lambda i: pictures[i % len(pictures)],
                      [options.cifar, "--subfolder", "train", "--preset", "cifar10"]))
    if options.jpegs:
        paths = jpeg_paths(options.jpegs)
        for decode in options.decode:
            cases.append(("jpegs", decode, datasets.TransformsImageNet128(), lambda i: open_rgb(paths[i % len(paths)]),
                          [options.jpegs, "--preset", "imagenet128", "--decode", decode]))
    report = {
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__},
        "cases": [measure(options, *case) for case in cases],
    }
    print(json.dumps(report))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", default=os.environ.get("AMDIM_REFERENCE"), help="folder of the authors' code")
    parser.add_argument("--cifar", help="CIFAR-10 as JPEG files in a .tar.gz with train/CLASS/NAME.jpg")
    parser.add_argument("--jpegs", help="folder of JPEG files")
    parser.add_argument("--decode", nargs="+", default=["exact"], choices=["exact", "fast"], help="how ours decodes")
    parser.add_argument("--ours", help="the built example data_speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    if not options.reference:
        parser.error("needs --reference or AMDIM_REFERENCE")
    return options


def measure(options, name, decode, transform, picture, arguments):
    theirs, ours = [], []
    pairs_per_second(transform, picture, 0.5)
    for _ in range(options.rounds):
        theirs.append(pairs_per_second(transform, picture, options.seconds))
        if options.ours:
            command = [options.ours, *arguments, "--seconds", str(options.seconds)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            ours.append(json.loads(output)["pairs_per_s"])
    result = {"case": name, "decode": decode, "reference_pairs_per_s": statistics.median(theirs)}
    if ours:
        result["pairs_per_s"] = statistics.median(ours)
        result["ratios"] = [mine / other for mine, other in zip(ours, theirs)]
        result["ratio"] = statistics.median(result["ratios"])
    return result


def pairs_per_second(transform, picture, seconds):
    began, pairs = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        transform(picture(pairs))
        pairs += 1
    return pairs / elapsed


def cifar_pictures(path, count=2000):
    """Every 25th training picture, decoded: all classes, and more than the processor's caches hold."""
    from PIL import Image

    pictures, seen = [], 0
    with tarfile.open(path) as archive:
        for member in archive:
            if "train/" not in member.name or not member.name.endswith(".jpg"):
                continue
            seen += 1
            if seen % 25 == 0:
                pictures.append(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB"))
            if len(pictures) == count:
                break
    return pictures


def jpeg_paths(folder):
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith((".jpg", ".jpeg")))
    return [os.path.join(folder, name) for name in names]


def open_rgb(path):
    from PIL import Image

    with Image.open(path) as file:
        return file.convert("RGB")


if __name__ == "__main__":
    main()
