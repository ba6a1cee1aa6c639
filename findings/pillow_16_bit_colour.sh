#!/usr/bin/env bash
# Pillow 13.0.0: a 16-bit colour PNG whose values end at 4,095 (12 of 16 bits, as cameras and
# microscopes write them) opens as mode RGB with values from 0 to 15.
#
# Behaviour: of each sample the high byte is kept and the low byte dropped, without a warning. A grey
# PNG of the same values opens as I;16 and keeps all of them. So a set of photographs of 12 bits trains
# on sixteen levels, nearly black, and nothing says so.
# Source: Pillow's PngImagePlugin maps (16, 2) to the raw mode RGB;16B, which unpacks high bytes:
# https://pillow.readthedocs.io/en/stable/handbook/concepts.html#modes
# Expected output: "colour: mode RGB, 0 to 15; grey: mode I;16, 0 to 4095"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import io
import struct
import zlib

from PIL import Image


def png(colour_type: int, samples: int) -> bytes:
    """A PNG of 16 bits, 4,096 pixels in one row, whose samples rise from 0 to 4,095."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    row = b"\0" + b"".join(struct.pack(">H", value) * samples for value in range(4096))
    head = struct.pack(">IIBBBBB", 4096, 1, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(row)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def told(content: bytes) -> str:
    image = Image.open(io.BytesIO(content))
    low, high = image.getextrema()[0] if len(image.getbands()) > 1 else image.getextrema()
    return f"mode {image.mode}, {low} to {high}"


print(f"colour: {told(png(2, 3))}; grey: {told(png(0, 1))}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "colour: mode RGB, 0 to 15; grey: mode I;16, 0 to 4095" ] || { echo "this has changed"; exit 1; }
