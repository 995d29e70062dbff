"""Writes the formats.* files: one small picture in each format, and what Pillow reads in it, as PNG."""
import io
import os
import warnings

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
here = os.path.dirname(os.path.abspath(__file__))
y, x = np.mgrid[0:9, 0:13]
rgb = np.stack([x * 20, y * 28, (x * y * 7) % 256], axis=2).astype(np.uint8)
picture = Image.fromarray(rgb)
alpha = Image.merge("RGBA", (*picture.split(), Image.fromarray((40 + 15 * x).astype(np.uint8))))


def put(name, data):
    with open(os.path.join(here, "formats." + name), "wb") as f:
        f.write(data)
    Image.open(io.BytesIO(data)).convert("RGB").save(os.path.join(here, "formats." + name + ".png"))


def encode(im, kind, **how):
    b = io.BytesIO()
    im.save(b, kind, **how)
    return b.getvalue()


def gif(transparent):
    """A screen of 3 x 2 whose first frame is one green pixel at (1, 1)."""
    b = b"GIF89a" + bytes([3, 0, 2, 0, 0x81, 2, 0]) + bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    if transparent is not None:
        b += b"\x21\xf9\x04\x01\x00\x00" + bytes([transparent, 0])
    return b + b"\x2c" + bytes([1, 0, 1, 0, 1, 0, 1, 0, 0]) + b"\x02\x02\x4c\x01\x00\x3b"


put("bmp", encode(picture, "BMP"))
put("lzw.tiff", encode(picture, "TIFF", compression="tiff_lzw"))
put("lossless.webp", encode(picture, "WEBP", lossless=True))
put("lossy.webp", encode(picture, "WEBP", quality=60))
put("alpha.webp", encode(alpha, "WEBP", quality=60))
put("frames.gif", encode(picture.quantize(16), "GIF", save_all=True, append_images=[picture.rotate(180).quantize(16)]))
put("small.gif", gif(None))
put("around.gif", gif(3))
put("clear.gif", gif(1))
put("ppm", encode(picture, "PPM"))
