"""Makes the files beside it: python make.py, with datasets 5.2.0 (pyarrow 26.0.1), webdataset 1.0.2, pillow 13.0.0.

Gray 2x2 PNG files of level 0, 10, 20 (and 30), labels 0, 1, 0 (and 1), as the two libraries write them by default.
"""

import io

import webdataset
from datasets import ClassLabel, Dataset, Features, Image
from PIL import Image as Picture


def png(level):
    file = io.BytesIO()
    Picture.new("L", (2, 2), level).save(file, "png")
    return file.getvalue()


rows = [{"image": {"bytes": png(10 * i), "path": None}, "label": i % 2} for i in range(4)]
features = Features({"image": Image(), "label": ClassLabel(names=["ant", "bee"])})
Dataset.from_list(rows, features=features).to_parquet("datasets.parquet")

with webdataset.TarWriter("webdataset.tar") as writer:
    for i in range(3):
        picture = Picture.new("L", (2, 2), 10 * i)
        writer.write({"__key__": f"sample{i:04d}", "png": picture, "cls": i % 2, "json": {"n": i}})
