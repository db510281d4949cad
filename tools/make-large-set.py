"""Makes sets of 50,000 and 300,000 pictures out of an archive of CIFAR-10 as JPEG files, in every layout.

usage: make-large-set.py ARCHIVE FOLDER    (needs pyarrow)

FOLDER gets NUMBER/folder (class folders), NUMBER/set.tar (the same in one archive), NUMBER/shards/*.tar (as of
WebDataset) and NUMBER/parquet/*.parquet (as of Hugging Face). The pictures of train/CLASS in the archive are repeated
as often as needed.
"""

import io
import json
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

A_PIECE = 5000
NUMBERS = (50_000, 300_000)


def pictures(archive):
    """Class and bytes of every training picture, mixed over the classes."""
    by_class = {}
    with tarfile.open(archive) as tar:
        for entry in tar:
            parts = Path(entry.name).parts
            if entry.isfile() and "train" in parts and entry.name.endswith(".jpg"):
                by_class.setdefault(parts[-2], []).append(tar.extractfile(entry).read())
    classes = sorted(by_class)
    return classes, [(name, jpeg) for row in zip(*(by_class[c] for c in classes)) for name, jpeg in zip(classes, row)]


def add(tar, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def make(classes, found, number, root):
    (root / "shards").mkdir(parents=True)
    (root / "parquet").mkdir()
    for name in classes:
        (root / "folder" / name).mkdir(parents=True)
    features = {"image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}}
    schema = pa.schema(
        {"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "label": pa.int64()},
        {"huggingface": json.dumps({"info": {"features": features}})},
    )
    with tarfile.open(root / "set.tar", "w") as whole:
        for piece in range(number // A_PIECE):
            rows = []
            with tarfile.open(root / "shards" / f"train-{piece:04}.tar", "w") as shard:
                for at in range(piece * A_PIECE, (piece + 1) * A_PIECE):
                    name, jpeg = found[at % len(found)]
                    add(shard, f"{at:06}.jpg", jpeg)
                    add(shard, f"{at:06}.cls", name.encode())
                    add(whole, f"{name}/{at:06}.jpg", jpeg)
                    (root / "folder" / name / f"{at:06}.jpg").write_bytes(jpeg)
                    rows.append({"image": {"bytes": jpeg, "path": None}, "label": classes.index(name)})
            path = root / "parquet" / f"train-{piece:05}-of-{number // A_PIECE:05}.parquet"
            pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=1000)


def main():
    archive, folder = sys.argv[1], Path(sys.argv[2])
    classes, found = pictures(archive)
    for number in NUMBERS:
        make(classes, found, number, folder / str(number))


main()
