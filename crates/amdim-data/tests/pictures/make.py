"""Makes the pictures of this folder and what Pillow decodes them to (NAME.expected.png).

Run with Pillow 13.0.0: python make.py
"""

import io
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent


def ramp(width=40, height=24):
    """Smooth colours, so that lossy formats stay near."""
    pixels = [(x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2))
              for y in range(height) for x in range(width)]
    image = Image.new("RGB", (width, height))
    image.putdata(pixels)
    return image


def save(name, image, **options):
    image.save(HERE / name, **options)
    expect(name)


def expect(name):
    with Image.open(HERE / name) as image:
        image.convert("RGB").save(HERE / f"{name}.expected.png")


def main():
    image = ramp()
    save("baseline.jpg", image, quality=90, subsampling=0)
    save("subsampled.jpg", image, quality=90, subsampling=2)
    save("half-width.jpg", ramp(75, 53), quality=90, subsampling=1)
    save("odd-size.jpg", ramp(75, 53), quality=90, subsampling=2, restart_marker_blocks=3)
    save("progressive.jpg", image, quality=90, progressive=True)
    save("restart.jpg", image, quality=90, restart_marker_blocks=2)
    save("gray.jpg", image.convert("L"), quality=90)
    save("adobe-cmyk.jpg", image.convert("CMYK"), quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(HERE / "turned.jpg", quality=90, subsampling=0, exif=exif)
    with Image.open(HERE / "turned.jpg") as turned:
        turned.convert("RGB").transpose(Image.Transpose.ROTATE_270).save(HERE / "turned.jpg.expected.png")
    # Without the Adobe segment a decoder has to take the inks as they are.
    buffer = io.BytesIO()
    image.convert("CMYK").save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    start = data.index(b"\xff\xee")
    length = int.from_bytes(data[start + 2:start + 4], "big")
    (HERE / "plain-cmyk.jpg").write_bytes(data[:start] + data[start + 2 + length:])
    expect("plain-cmyk.jpg")
    save("palette.png", image.quantize(32))
    save("transparent-palette.png", image.quantize(16), transparency=3)
    save("gray-alpha.png", image.convert("LA"))
    save("one-bit.png", image.convert("1"))
    save("still.gif", image.quantize(64))
    save("lossless.webp", image, lossless=True)
    save("lossy.webp", image, quality=90)
    save("palette.bmp", image.quantize(16))
    save("one-pixel.jpg", Image.new("RGB", (1, 1), (200, 100, 50)), quality=95)


main()
