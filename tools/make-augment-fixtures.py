"""Pillow's results of the operations of augmentation policies, for crates/amdim-data/tests/policy.rs.

    python tools/make-augment-fixtures.py

Needs Pillow and NumPy (made with Pillow 13.0.0). Writes crates/amdim-data/tests/policy: `cases.json`, what is done, and
for each picture `NAME.png`, the picture with the results of all cases below it. The geometry, the order of arguments and
the colour of cutout are those of Fast AutoAugment's published code (kakaobrain/fast-autoaugment, augmentations.py).
"""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "crates/amdim-data/tests/policy"
COLOR = (125, 123, 114)


def affine(image, *matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def cutout(image, across, down, pixels):
    """A square of `pixels` around the place at these shares of the width and height."""
    width, height = image.size
    left = int(max(0, across * width - pixels / 2.0))
    top = int(max(0, down * height - pixels / 2.0))
    color = COLOR if image.mode == "RGB" else Image.new("RGB", (1, 1), COLOR).convert("L").getpixel((0, 0))
    image = image.copy()
    ImageDraw.Draw(image).rectangle((left, top, min(width, left + pixels), min(height, top + pixels)), color)
    return image


OPERATIONS = {
    "shearX": lambda image, slope: affine(image, 1, slope, 0, 0, 1, 0),
    "shearY": lambda image, slope: affine(image, 1, 0, 0, slope, 1, 0),
    "shiftX": lambda image, pixels: affine(image, 1, 0, pixels, 0, 1, 0),
    "shiftY": lambda image, pixels: affine(image, 1, 0, 0, 0, 1, pixels),
    "rotate": lambda image, degrees: image.rotate(degrees),
    "autoContrast": ImageOps.autocontrast,
    "invert": ImageOps.invert,
    "equalize": ImageOps.equalize,
    "solarize": ImageOps.solarize,
    "posterize": ImageOps.posterize,
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "color": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "cutout": cutout,
}

FACTORS = [[0.1], [0.5], [0.97], [1.0], [1.3], [1.9]]
CASES = {
    "shearX": [[-0.3], [-0.1703], [0.0], [0.05], [0.3]],
    "shearY": [[-0.3], [-0.1703], [0.0], [0.05], [0.3]],
    "shiftX": [[-14.4], [-0.5], [0.49], [0.5], [3.7], [60.0]],
    "shiftY": [[-14.4], [-0.5], [0.49], [0.5], [3.7], [60.0]],
    "rotate": [[-30.0], [-13.7], [-1.0], [0.0], [0.4], [17.3], [30.0]],
    "autoContrast": [[]],
    "invert": [[]],
    "equalize": [[]],
    "solarize": [[0.0], [64.3], [128.0], [200.5], [256.0]],
    "posterize": [[1], [3], [4], [5], [7], [8]],
    "contrast": FACTORS,
    "color": FACTORS,
    "brightness": FACTORS,
    "sharpness": FACTORS,
    "cutout": [[0.5, 0.5, 6.4], [0.01, 0.02, 4.9], [0.999, 0.999, 5.0], [0.3, 0.7, 0.0], [0.5, 0.5, 20.0]],
}


def pictures():
    random = np.random.default_rng(1)
    with tarfile.open(ROOT / "data/cifar10-sample.tar.gz") as archive:
        names = sorted(name for name in archive.getnames() if name.startswith("test/") and name.endswith(".jpg"))
        yield "natural", Image.open(io.BytesIO(archive.extractfile(names[7]).read())).convert("RGB")
    y, x = np.mgrid[0:17, 0:25]
    ramps = np.stack([x * 10, y * 15, 255 - x * 5 - y * 5], axis=2) + random.integers(-8, 9, (17, 25, 3))
    yield "odd", Image.fromarray(ramps.clip(0, 255).astype(np.uint8))
    yield "pale", Image.fromarray(random.integers(90, 141, (9, 16, 3), dtype=np.uint8))
    yield "flat", Image.new("RGB", (5, 4), (200, 90, 10))
    yield "tiny", Image.fromarray(random.integers(0, 256, (3, 2, 3), dtype=np.uint8))
    yield "gray", Image.fromarray((x * 8 + y * 3).astype(np.uint8))
    y, x = np.mgrid[0:67, 0:101]
    wide = np.stack([x * 2 + y // 3, y * 3, 255 - x - y], axis=2)
    yield "wide", Image.fromarray(wide.clip(0, 255).astype(np.uint8))


def main():
    cases = [(name, arguments) for name, values in CASES.items() for arguments in values]
    FOLDER.mkdir(exist_ok=True)
    for name, picture in pictures():
        images = [picture, *(OPERATIONS[operation](picture, *arguments) for operation, arguments in cases)]
        assert all(image.size == picture.size and image.mode == picture.mode for image in images)
        Image.fromarray(np.concatenate([np.asarray(image) for image in images])).save(
            FOLDER / f"{name}.png", optimize=True
        )
    lines = [f'  {json.dumps([operation, arguments])}' for operation, arguments in cases]
    (FOLDER / "cases.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


main()
