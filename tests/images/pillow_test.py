"""Decodes files of every kind that Pillow writes, brings some to other sizes and
channels, and compares each pixel.

  pillow_test.py MDGAN_DECODE
"""
import io
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

RANDOM = np.random.default_rng(1)
H, W = 21, 34
RGB = RANDOM.integers(0, 256, (H, W, 3)).astype(np.uint8)
RGBA = RANDOM.integers(0, 256, (H, W, 4)).astype(np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(H) * 5, np.arange(W) * 4) % 256,
                   np.add.outer(np.arange(H) * 9, np.arange(W) * 2) % 256,
                   np.add.outer(np.arange(H) * 3, np.arange(W) * 7) % 256],
                  axis=2).astype(np.uint8)
AS_IT_IS = "error 0 0 0"
GREY16 = RANDOM.integers(0, 65536, (H, W)).astype(np.uint16)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def raw_png(width, height, bits, colour, rows, interlaced=0, before=b"",
            after=b""):
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits,
                                         colour, 0, 0, interlaced))
            + before + chunk(b"IDAT", zlib.compress(rows)) + after
            + chunk(b"IEND", b""))


def raw_bmp(width, height, bits, pixels, palette=np.zeros(0, np.uint8), masks=b""):
    """A BMP whose rows are `pixels`, each a multiple of four bytes."""
    masks = masks and masks.ljust(68, b"\0")
    header = struct.pack("<IiiHHIIiiII", 40 + len(masks), width, height, 1, bits,
                         3 if masks else 0, 0, 0, 0, 0, 0) + masks
    begin = 14 + len(header) + palette.nbytes
    return (b"BM" + struct.pack("<IHHI", begin + pixels.nbytes, 0, 0, begin)
            + header + palette.tobytes() + pixels.tobytes())


def os2_bmp(width, height, bits, pixels, palette):
    """With the oldest header, and a palette of three bytes a colour."""
    begin = 26 + palette.nbytes
    return (b"BM" + struct.pack("<IHHI", begin + pixels.nbytes, 0, 0, begin)
            + struct.pack("<IHHHH", 12, width, height, 1, bits)
            + palette.tobytes() + pixels.tobytes())


def with_gap(bmp, size=24):
    """Bytes between what stands before the pixels and the pixels."""
    begin = struct.unpack("<I", bmp[10:14])[0]
    return (bmp[:10] + struct.pack("<I", begin + size) + bmp[14:begin]
            + bytes(range(1, size + 1)) + bmp[begin:])


def rows_of(array):
    return b"".join(b"\0" + row.tobytes() for row in array)


def adam7(array):
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4),
              (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(rows_of(array[y::dy, x::dx]) for y, x, dy, dx in passes)
    return raw_png(W, H, 8, 2, rows, interlaced=1)


def raw_tiff(array, kind, extra=(), tile=None, packed=False, order="<",
             separate=False, photometric=True):
    """A TIFF of an array [H, W] or [H, W, samples], in strips of 8 rows, or tiles
    tile x tile."""
    planes = array[..., None] if array.ndim == 2 else array
    height, width, samples = planes.shape
    bits = planes.dtype.itemsize * 8
    parts = []
    for group in ([planes[..., s:s + 1] for s in range(samples)]
                  if separate else [planes]):
        for y in range(0, height, tile or 8):
            for x in range(0, width, tile or width):
                part = group[y:y + (tile or 8), x:x + (tile or width)]
                if tile:
                    whole = np.zeros((tile, tile, part.shape[2]), part.dtype)
                    whole[:part.shape[0], :part.shape[1]] = part
                    part = whole
                raw = part.astype(part.dtype.newbyteorder(order)).tobytes()
                parts.append(zlib.compress(raw) if packed else raw)
    sizes = [len(part) for part in parts]
    offsets = [8 + sum(sizes[:i]) for i in range(len(sizes))]
    tags = {256: [width], 257: [height], 258: [bits] * samples,
            259: [8 if packed else 1], 277: [samples],
            284: [2 if separate else 1]}
    if photometric:
        tags[262] = [kind]
    if kind == 3:
        tags[320] = [i % 256 * 257 for i in range(768)]
    if extra:
        tags[338] = list(extra)
    if tile:
        tags.update({322: [tile], 323: [tile], 324: offsets, 325: sizes})
    else:
        tags.update({278: [8], 273: offsets, 279: sizes})
    data = b"".join(parts)
    after, entries = b"", b""
    end = 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        values = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        if len(values) > 4:
            after += values
            values = struct.pack(order + "I", end + len(after) - len(values))
        entries += struct.pack(order + "HHI", tag, 4, len(tags[tag])) + values
    return ((b"II*\0" if order == "<" else b"MM\0*")
            + struct.pack(order + "I", 8 + len(data)) + data
            + struct.pack(order + "H", len(tags)) + entries + bytes(4) + after)


def jpeg_in_tiff(jpeg):
    """A TIFF of SMOOTH whose one strip is a JPEG."""
    shorts = {256: W, 257: H, 259: 7, 262: 6, 277: 3, 278: H}
    longs = {273: 8, 279: len(jpeg)}
    end = 8 + len(jpeg) + 2 + 12 * (len(shorts) + len(longs) + 2) + 4
    entries = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0)
               for tag, value in shorts.items()}
    entries |= {tag: struct.pack("<HHII", tag, 4, 1, value)
                for tag, value in longs.items()}
    entries[258] = struct.pack("<HHII", 258, 3, 3, end)
    entries[530] = struct.pack("<HHIHH", 530, 3, 2, 2, 2)
    return (b"II*\0" + struct.pack("<I", 8 + len(jpeg)) + jpeg
            + struct.pack("<H", len(entries))
            + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
            + struct.pack("<HHH", 8, 8, 8))


def tiff_cases():
    """Kinds of TIFF that Pillow does not write, or shows otherwise."""
    bytes_of = lambda values: np.rint(values / 257).astype(np.uint8)  # noqa: E731
    colour16 = RANDOM.integers(0, 65536, (H, W, 3)).astype(np.uint16)
    for tile, packed, order in ((None, False, ">"), (None, True, "<"),
                                (16, False, "<"), (16, True, ">"),
                                (48, True, "<"), (48, False, ">")):
        name = f"TIFF {order} tile {tile} packed {packed}"
        options = {"tile": tile, "packed": packed, "order": order}
        yield f"{name} grey", raw_tiff(RGB[..., 0], 1, **options), RGB[..., 0]
        yield f"{name} grey 16", raw_tiff(GREY16, 1, **options), bytes_of(GREY16)
        yield f"{name} white is 0", raw_tiff(GREY16, 0, **options), \
            bytes_of(65535 - GREY16)
        for separate in (False, True):
            yield f"{name} RGB {separate}", raw_tiff(
                RGB, 2, separate=separate, **options), RGB
            yield f"{name} RGB 16 {separate}", raw_tiff(
                colour16, 2, separate=separate, **options), bytes_of(colour16)
    white = on_white(Image.fromarray(RGBA))
    for extra in ((), (2,)):
        yield f"TIFF RGBA {extra}", raw_tiff(RGBA, 2, extra), white
    yield "TIFF multiplied", raw_tiff(
        np.array([[[100, 0, 50, 100]]], np.uint8), 2, (1,)), \
        np.array([[[255, 155, 205]]], np.uint8)
    for extra in ((0,), (0, 0)):
        yield f"TIFF RGB and spare {extra}", raw_tiff(
            np.concatenate([RGBA, RGB], 2)[..., :3 + len(extra)], 2, extra), \
            RGBA[..., :3]
    grey = np.array([[[0, 0], [100, 128]], [[200, 128], [255, 255]]], np.uint8)
    for extra in ((), (2,)):
        yield f"TIFF grey and opacity {extra}", raw_tiff(grey, 1, extra), \
            np.array([[255, 177], [227, 255]], np.uint8)
    yield "TIFF of three greys", raw_tiff(RGB, 1), RGB[..., 0]
    for separate in (False, True):
        yield f"TIFF of five samples {separate}", raw_tiff(
            np.concatenate([RGB, RGB], 2)[..., :5], 2, (0, 0),
            separate=separate), RGB
    yield "TIFF LA of Pillow", saved(Image.fromarray(grey, "LA"), "TIFF"), \
        np.array([[255, 177], [227, 255]], np.uint8)
    yield "TIFF without a photometric tag", raw_tiff(
        RGB, 2, photometric=False), RGB


def with_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def text():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 100_000)
    return info


def on_white(image):
    """Pillow's own blending of stored values."""
    grey = image.mode in ("1", "L", "LA")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = white
    pixels = np.asarray(image.convert("RGB"))
    return pixels[..., 0] if grey else pixels


def file_cases():
    rgb, smooth = Image.fromarray(RGB), Image.fromarray(SMOOTH)
    grey = rgb.convert("L")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        source = Image.fromarray(RGBA).convert(mode) if mode != "P" else \
            rgb.quantize(200)
        yield f"PNG {mode}", saved(source, "PNG")
    for bits in (1, 2, 4):
        yield f"PNG palette of {bits} bits", saved(
            rgb.quantize(2 ** bits), "PNG", bits=bits)
        values = np.arange(H * 2, dtype=np.uint8).reshape(H, 2)
        yield f"PNG grey of {bits} bits", raw_png(
            16 // bits, H, bits, 0, rows_of(values))
    yield "PNG palette and tRNS", saved(
        rgb.quantize(20), "PNG", transparency=bytes(range(0, 200, 10)))
    yield "PNG palette and one transparent", saved(
        rgb.quantize(20), "PNG", transparency=3)
    yield "PNG RGB and tRNS", saved(
        rgb, "PNG", transparency=tuple(int(v) for v in RGB[3, 4]))
    yield "PNG grey and tRNS", saved(grey, "PNG", transparency=77)
    for gamma in (45455, 100_000, 250_000):
        yield f"PNG gAMA {gamma}", raw_png(
            W, H, 8, 2, rows_of(RGB),
            before=chunk(b"gAMA", struct.pack(">I", gamma)))
    yield "PNG gAMA and alpha", raw_png(
        W, H, 8, 6, rows_of(RGBA),
        before=chunk(b"gAMA", struct.pack(">I", 100_000)))
    yield "PNG iCCP", saved(rgb, "PNG", icc_profile=icc)
    yield "PNG damaged iCCP", raw_png(
        W, H, 8, 2, rows_of(RGB), before=chunk(b"iCCP", b"x\0\0zzzz"))
    yield "PNG long text", saved(rgb, "PNG", pnginfo=text())
    yield "PNG interlaced", adam7(RGB)
    yield "PNG trailing bytes", saved(rgb, "PNG") + b"trailing"
    yield "JPEG grey", saved(smooth.convert("L"), "JPEG")
    for subsampling in (0, 1, 2):
        yield f"JPEG subsampling {subsampling}", saved(
            smooth, "JPEG", subsampling=subsampling)
    yield "JPEG progressive", saved(smooth, "JPEG", progressive=True)
    yield "JPEG trailing bytes", saved(smooth, "JPEG") + b"trailing" * 8
    inks = saved(Image.fromarray(RGBA, "CMYK"), "JPEG")
    yield "JPEG CMYK", inks
    mark = inks.index(b"\xff\xee")  # Adobe's
    size = struct.unpack(">H", inks[mark + 2:mark + 4])[0]
    yield "JPEG CMYK without a mark", inks[:mark] + inks[mark + 2 + size:]
    for orientation in range(1, 9):
        exif = with_exif(orientation)
        yield f"JPEG EXIF {orientation}", saved(smooth, "JPEG", exif=exif)
        yield f"PNG eXIf {orientation}", saved(rgb, "PNG", exif=exif)


    for quality in (30, 95):
        yield f"WebP {quality}", saved(smooth, "WEBP", quality=quality)
    yield "WebP lossless", saved(rgb, "WEBP", lossless=True)
    yield "WebP alpha", saved(Image.fromarray(RGBA), "WEBP", lossless=True,
                              exact=True)
    for orientation in (3, 6, 7):
        exif = with_exif(orientation)
        yield f"WebP EXIF {orientation}", saved(smooth, "WEBP", exif=exif)
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for mode in ("1", "L", "RGB", "CMYK"):
            yield f"TIFF {mode} {compression}", saved(
                rgb.convert(mode), "TIFF", compression=compression)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        source = Image.fromarray(RGBA).convert(mode) if mode != "P" else \
            rgb.quantize(200)
        yield f"BMP {mode}", saved(source, "BMP")
    for bits in (1, 4):
        yield f"BMP palette of {bits} bits", raw_bmp(
            16 // bits, H, bits, np.arange(H * 4, dtype=np.uint8),
            RANDOM.integers(0, 256, 4 << bits).astype(np.uint8))
        values = np.arange(H * 4, dtype=np.uint8)
        colours = RANDOM.integers(0, 256, 3 << bits).astype(np.uint8)
        yield f"OS/2 BMP of {bits} bits", os2_bmp(16 // bits, H, bits, values,
                                                  colours)
    values = np.arange(H * 12, dtype=np.uint8)
    yield "OS/2 BMP of 8 bits", os2_bmp(
        12, H, 8, values, RANDOM.integers(0, 256, 768).astype(np.uint8))
    yield "OS/2 BMP of 24 bits", os2_bmp(4, H, 24, values, np.zeros(0, np.uint8))
    eight = raw_bmp(12, H, 8, values, RANDOM.integers(0, 256, 1024).astype(np.uint8))
    yield "BMP of 8 bits and a gap", with_gap(eight)
    yield "BMP of 24 bits and a gap", with_gap(raw_bmp(4, H, 24, values))
    few = RANDOM.integers(0, 256, 40).astype(np.uint8)
    yield "BMP with a palette of ten", raw_bmp(12, H, 8, values % 10, few)
    yield "BMP with a mask for opacity", raw_bmp(
        W, H, 32, RGBA, masks=struct.pack("<IIII", 0xff, 0xff00, 0xff0000,
                                          0xff000000))
    yield "BMP from the top", raw_bmp(3, -H, 24, RANDOM.integers(
        0, 256, H * 12).astype(np.uint8))
    yield "TIFF palette", saved(rgb.quantize(200), "TIFF")
    for compression in (None, "tiff_lzw", "jpeg"):
        yield f"TIFF of all inks {compression}", saved(
            Image.fromarray(RGBA, "CMYK"), "TIFF", compression=compression)
    yield "TIFF grey 4", saved(smooth.convert("L"), "TIFF",
                               compression="tiff_lzw")


def cases():
    """Of each: its name, the file and the pixels, an array."""
    for name, file in file_cases():
        yield name, file, on_white(Image.open(io.BytesIO(file)))
    file = saved(Image.fromarray(RGB).convert("L").quantize(16), "PNG")
    yield "PNG grey palette", file, on_white(Image.open(io.BytesIO(file)))[..., 0]
    for orientation in range(1, 9):  # Pillow turns a TIFF or does not
        png = saved(Image.fromarray(RGB), "PNG", exif=with_exif(orientation))
        yield f"TIFF orientation {orientation}", saved(
            Image.fromarray(RGB), "TIFF", tiffinfo={274: orientation}), \
            on_white(Image.open(io.BytesIO(png)))
    # Pillow shows these wrongly or not at all: it cuts 16 bits off, and takes
    # a missing end mark for missing pixels.
    exact = np.rint(GREY16 / 257).astype(np.uint8)
    yield "PNG 16 bits", saved(Image.fromarray(GREY16), "PNG"), exact
    values = np.stack([GREY16, GREY16[::-1], GREY16[:, ::-1]], axis=2)
    yield "PNG RGB of 16 bits", raw_png(
        W, H, 16, 2, rows_of(values.astype(">u2"))), np.rint(
            values / 257).astype(np.uint8)
    yield "TIFF 16 bits", saved(Image.fromarray(GREY16), "TIFF"), exact
    yield from tiff_cases()
    exif = with_exif(6)
    turned = np.rot90(RGB, -1)
    yield "PNG eXIf after the pixels", raw_png(
        W, H, 8, 2, rows_of(RGB), after=chunk(b"eXIf", exif[6:])), turned
    long = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x0112, 4, 1, 6, 0)
    for order, block in ((">", long), ("<", b"II*\0" + struct.pack(
            "<IHHHIII", 8, 1, 0x0112, 4, 1, 6, 0))):
        yield f"PNG orientation as a LONG {order}", raw_png(
            W, H, 8, 2, rows_of(RGB), before=chunk(b"eXIf", block)), turned
    whole = saved(Image.fromarray(SMOOTH), "JPEG")
    scan = whole.index(b"\xff\xda")
    end = scan + 2 + struct.unpack(">H", whole[scan + 2:scan + 4])[0]
    yield "JPEG whose scan ends at 0", \
        whole[:end - 2] + b"\0" + whole[end - 1:], \
        np.asarray(Image.open(io.BytesIO(whole)))
    pixels = np.asarray(Image.open(io.BytesIO(whole)))
    yield "JPEG without end", whole[:-2], pixels
    yield "JPEG extraneous bytes", whole[:-2] + b"\0\x11\x22\0" + whole[-2:], pixels


def fitted():
    """Of each: its name, the file, how it is fitted and the pixels."""
    for height, width in ((21, 34), (200, 130), (37, 37), (1, 9), (300, 2)):
        image = Image.fromarray(
            RANDOM.integers(0, 256, (height, width, 3)).astype(np.uint8))
        for mode in ("RGB", "L"):
            file = saved(image.convert(mode), "PNG")
            for size in ((28, 28), (64, 64), (13, 50), (120, 17), (37, 37)):
                for channels in (0, 1, 3):
                    wanted = image.convert(mode)
                    if channels:
                        wanted = wanted.convert("L" if channels == 1 else "RGB")
                    turned = size[::-1]
                    for fit, pixels in (
                            ("crop", ImageOps.fit(wanted, turned,
                                                  Image.BICUBIC)),
                            ("pad", pad(wanted, turned))):
                        yield (f"{mode} {height}x{width} {fit} {size} "
                               f"{channels}", file,
                               f"{fit} {size[0]} {size[1]} {channels}",
                               np.asarray(pixels))


def pad(image, size):
    """Pillow 9.4 refuses where a side would be of no pixel."""
    try:
        return ImageOps.pad(image, size, Image.BICUBIC)
    except ValueError:
        scaled = image.resize((size[0], 1) if image.width > image.height
                              else (1, size[1]), Image.BICUBIC)
        whole = Image.new(image.mode, size)
        whole.paste(scaled, tuple(round((a - b) * 0.5) for a, b in
                                  zip(size, scaled.size)))
        return whole


def refused():
    """Of each: its name, the file and what is said of it."""
    jpeg = saved(Image.fromarray(SMOOTH), "JPEG")
    progressive = saved(Image.fromarray(SMOOTH), "JPEG", progressive=True)
    png = saved(Image.fromarray(RGB), "PNG")
    for part in (3, 2):
        yield "cut JPEG", jpeg[:-len(jpeg) // part], "damaged JPEG"
        yield "cut progressive JPEG", progressive[:-len(jpeg) // part], \
            "damaged JPEG"
        yield "cut PNG", png[:-len(png) // part], "damaged PNG"
        for kind in ("WEBP", "TIFF"):
            file = saved(Image.fromarray(SMOOTH), kind)
            yield f"cut {kind}", file[:-len(file) // part], "damaged"
    yield "animation", saved(
        Image.fromarray(RGB), "WEBP", save_all=True,
        append_images=[Image.fromarray(SMOOTH)]), "is an animation"
    yield "animated PNG", saved(
        Image.fromarray(RGB), "PNG", save_all=True,
        append_images=[Image.fromarray(SMOOTH)]), "is an animation"
    yield "TIFF of two pages", saved(
        Image.fromarray(RGB), "TIFF", save_all=True,
        append_images=[Image.fromarray(SMOOTH)]), "has several pages"
    yield "TIFF palette and opacity", raw_tiff(
        np.zeros((H, W, 2), np.uint8), 3), "is not read; convert"
    frame = jpeg.index(b"\xff\xc0")
    yield "JPEG of 12 bits", jpeg[:frame + 4] + b"\x0c" + jpeg[frame + 5:], \
        "of a kind that is not read"
    yield "lossless JPEG", jpeg[:frame] + b"\xff\xc3" + jpeg[frame + 2:], \
        "of a kind that is not read"
    yield "cut tail", jpeg[:-12], "damaged JPEG"
    yield "progressive without end", progressive[:-2], "damaged JPEG"
    yield "signed TIFF", saved(Image.fromarray(GREY16), "TIFF",
                               tiffinfo={339: 2}), "are signed"
    packed = raw_tiff(RGB, 2, packed=True)
    yield "TIFF with damaged pixels", packed[:200] + bytes(200) + packed[400:], \
        "damaged TIFF"
    yield "TIFF of half a JPEG", jpeg_in_tiff(jpeg[:len(jpeg) // 2]), \
        "damaged TIFF"
    fax = bytearray(saved(Image.fromarray(RGB).convert("1"), "TIFF",
                          compression="group4"))
    fax[len(fax) // 4:len(fax) // 2] = bytes(len(fax) // 2 - len(fax) // 4)
    yield "TIFF with a damaged fax", bytes(fax), "damaged TIFF"
    yield "PPM", saved(Image.fromarray(RGB), "PPM"), "is a PPM file"
    yield "DICOM", bytes(128) + b"DICM" + bytes(100), "is a DICOM file"
    yield "GIF", saved(Image.fromarray(RGB), "GIF"), "is a GIF file"
    bmp = saved(Image.fromarray(RGB), "BMP")
    yield "cut BMP", bmp[:-len(bmp) // 3], "damaged BMP"
    yield "BMP of 16 bits", raw_bmp(2, H, 16, np.arange(H * 4, dtype=np.uint8)), \
        "of 16 bits"
    yield "BMP in run lengths", bmp[:30] + b"\1" + bmp[31:], "in run lengths"
    for bits in (1, 4, 8):
        yield f"BMP of {bits} bits with colours beyond its palette", raw_bmp(
            32 // bits, H, bits, np.full(H * 4, 0x9f, np.uint8),
            np.arange(4, dtype=np.uint8)), "damaged BMP"
    yield "BMP of a JPEG", bmp[:30] + b"\4" + bmp[31:], "of another format"
    yield "BMP whose pixels begin beyond it", bmp[:10] + b"\0\0\0\1" + bmp[14:], \
        "damaged BMP"


def compare(name, expected, found):
    planes = expected[None] if expected.ndim == 2 else \
        np.moveaxis(expected, 2, 0)
    if found.shape != planes.shape:
        return f"{name}: is {found.shape} and not {planes.shape}"
    if not np.array_equal(found, planes):
        apart = np.abs(found.astype(int) - planes)
        return (f"{name}: {np.count_nonzero(apart)} values are wrong, "
                f"by up to {apart.max()}")
    return None


def main(program):
    wanted = [(name, file, AS_IT_IS, pixels) for name, file, pixels in cases()]
    wanted += fitted()
    bad = [(name, file, AS_IT_IS, words) for name, file, words in refused()]
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for number, (_, file, how, _) in enumerate(wanted + bad):
            path = pathlib.Path(folder, f"{number}.png")
            path.write_bytes(file)
            names.append(f"{how} {path}\n")
        answer = io.BytesIO(subprocess.run(
            [program], input="".join(names).encode(),
            stdout=subprocess.PIPE, check=True).stdout)
    faults = []
    for name, _, _, expected in wanted:
        head = answer.readline().decode()
        if head.startswith("error"):
            faults.append(f"{name}: {head}")
            continue
        shape = tuple(int(number) for number in head.split())
        found = np.frombuffer(answer.read(int(np.prod(shape))), np.uint8)
        answer.readline()
        faults.append(compare(name, expected, found.reshape(shape)))
    for name, _, _, words in bad:
        head = answer.readline().decode()
        if not head.startswith("error"):
            sys.exit(f"{name}: is read, and should not: {head}")
        faults.append(None if words in head else f"{name}: {head}")
    faults = [fault for fault in faults if fault]
    print(f"{len(wanted)} files compared, {len(bad)} refused")
    print(*faults, sep="\n")
    sys.exit(1 if faults else 0)


main(sys.argv[1])
