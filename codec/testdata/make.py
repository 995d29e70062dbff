"""Writes the images beside it. Blocks of one colour need no inverse DCT, so that what Pillow (libjpeg-turbo) decodes
from them tests upsampling and colour conversion alone, to the bit. The resized ones test resize. Needs Pillow."""
import os
import random

from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
random.seed(7)


def blocks(w, h, mw, mh):
    """Every block of 8x8 samples of every plane has one colour if MCUs of mw x mh pixels do."""
    im = Image.new("RGB", (w, h))
    colours = {}
    for y in range(h):
        for x in range(w):
            k = (x // mw, y // mh)
            colours.setdefault(k, tuple(random.randrange(30, 225) for _ in range(3)))
            im.putpixel((x, y), colours[k])
    return im


for name, w, h, mw, mh, sub in [
    ("420", 61, 37, 16, 16, 2), ("422", 61, 21, 16, 8, 1), ("444", 29, 19, 8, 8, 0),
    ("420narrow", 3, 37, 16, 16, 2), ("420low", 37, 1, 16, 16, 2),
]:
    path = os.path.join(here, name)
    blocks(w, h, mw, mh).save(path + ".jpg", quality=100, subsampling=sub, optimize=True)
    Image.open(path + ".jpg").convert("RGB").save(path + ".png", optimize=True)

noise = Image.frombytes("RGB", (23, 17), bytes(random.randrange(256) for _ in range(23 * 17 * 3)))
noise.save(os.path.join(here, "noise.png"))
for name, f in [("pillow", Image.BILINEAR), ("bicubic", Image.BICUBIC), ("nearest", Image.NEAREST)]:
    for w, h in [(9, 7), (40, 31), (23, 5), (11, 17), (6, 29)]:
        noise.resize((w, h), f).save(os.path.join(here, f"noise_{name}_{w}x{h}.png"))
noise.convert("L").save(os.path.join(here, "noise_gray.png"))
