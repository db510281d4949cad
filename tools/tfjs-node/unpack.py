"""Takes libtensorflow and its C headers out of a tensorflow wheel: python3 unpack.py WHEEL FOLDER"""

import os
import shutil
import sys
import zipfile

INCLUDE = "tensorflow/include/"
# The C interface, and what its headers include.
HEADERS = ("tensorflow/c/", "tensorflow/core/platform/ctstring", "tsl/", "xla/tsl/")

wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith("tensorflow/libtensorflow_"):
            path = os.path.join(folder, "lib", os.path.basename(name))
        elif name.startswith(INCLUDE) and name[len(INCLUDE) :].startswith(HEADERS) and not name.endswith("/"):
            path = os.path.join(folder, "include", name[len(INCLUDE) :])
        else:
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(name) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 22)
