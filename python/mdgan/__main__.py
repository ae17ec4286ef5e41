"""python -m mdgan sample RUN --out grid.png --count 64"""
import argparse
import sys

from . import __version__, columns_of, grid, load, sample


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m mdgan", description="Generators of MD-GAN in PyTorch.")
    parser.add_argument("--version", action="version",
                        version=f"mdgan {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    sampled = commands.add_parser(
        "sample", help="make a grid of pictures, as mdgan-server sample does, "
        "without the names above")
    sampled.add_argument("run", metavar="RUN", help="the folder of a run or of a "
                         "checkpoint, or a file of mdgan-server export")
    sampled.add_argument("--round", type=int, help="the checkpoint of this round; "
                         "without it the newest sound one")
    sampled.add_argument("--count", type=int, default=64,
                         help="number of pictures (default 64)")
    sampled.add_argument("--classes", help="the pictures' classes, in turn: names "
                         "or numbers, as cat,dog or 0,1,2; without it all")
    sampled.add_argument("--seed", type=int, help="of the latents; without it the "
                         "run's own")
    sampled.add_argument("--out", default="grid.png",
                         help="the picture to write (default grid.png)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    try:
        from PIL import Image
    except ImportError:
        print("mdgan sample writes pictures with Pillow, which is missing: install "
              "the package pillow, or Debian's python3-pil", file=sys.stderr)
        return 1
    try:
        model = load(options.run, round=options.round)
        classes = options.classes.split(",") if options.classes else None
        columns = columns_of(options.count, len(classes or model.classes))
        pixels = grid(sample(model, options.count, classes, options.seed), columns)
        if pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        elif pixels.shape[2] != 3:
            raise ValueError(f"images of {pixels.shape[2]} channels are no "
                             "pictures; 1 or 3 are")
        mode = "L" if pixels.dim() == 2 else "RGB"
        size = (pixels.shape[1], pixels.shape[0])
        data = bytes(pixels.flatten().tolist())
        Image.frombytes(mode, size, data).save(options.out)
    except (OSError, ValueError) as error:
        print(f"mdgan: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {options.count} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
