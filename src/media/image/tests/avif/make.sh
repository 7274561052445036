#!/bin/sh
# Makes the AVIF files of this folder anew, from pictures that are sums of sines, and beside each what avifdec sees in it.
# Needs avifenc and avifdec (Debian: apt install libavif-bin; these are of 0.11.1 with libaom 3.6.0) and python3. The tests
# need neither: the files are kept.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$work" <<'PY'
import math, struct, sys, zlib
def write(name, width, height, channels, depth, pixel):
    kind = {1: 0, 3: 2, 4: 6}[channels]
    raw = bytearray()
    for y in range(height):
        raw.append(0)
        for x in range(width):
            for sample in pixel(x, y):
                raw += bytes([sample]) * (depth // 8)
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    head = struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, 0)
    with open(f'{sys.argv[1]}/{name}.png', 'wb') as out:
        out.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(bytes(raw))) + chunk(b'IEND', b''))
def colours(x, y):
    return [int(127 + 120 * math.sin(x / 9 + y / 17)), int(127 + 120 * math.cos(y / 11)), int((x * 3 + y * 2) % 256 * 0.9)]
def alpha(x, y):
    return min(255, 20 + (x + y) * 2)
write('rgb', 43, 29, 3, 8, colours)
write('deep', 43, 29, 3, 16, colours)
write('rgba', 43, 29, 4, 8, lambda x, y: colours(x, y) + [alpha(x, y)])
for at in range(4):
    left, top = at % 2 * 64, at // 2 * 64
    write(f'tile{at}', 64, 64, 3, 8, lambda x, y: colours((x + left) // 2, (y + top) // 2))
    write(f'clear{at}', 64, 64, 4, 8, lambda x, y: colours((x + left) // 2, (y + top) // 2) + [min(255, 20 + x + left)])
# Large ones, of which every row is one colour: little to store, as much to hold as any.
def rows(name, width, height, channels):
    kind = {3: 2, 4: 6}[channels]
    raw = b''.join(bytes([0]) + bytes([y * 255 // height, 90, 200, 255 - y * 200 // height][:channels]) * width for y in range(height))
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    head = struct.pack('>IIBBBBB', width, height, 8, kind, 0, 0, 0)
    with open(f'{sys.argv[1]}/{name}.png', 'wb') as out:
        out.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(raw, 1)) + chunk(b'IEND', b''))
rows('large', 4000, 3000, 3)
rows('middle', 1600, 1200, 4)
rows('part', 1024, 768, 3)
with open(f'{sys.argv[1]}/exif', 'wb') as out:
    # One entry of a maker, one of an orientation that does not count, one that leads to a place.
    entries = [(0x10f, 2, 4, b'Cam\0'), (0x112, 3, 1, b'\0\x06\0\0'), (0x8825, 4, 1, struct.pack('>I', 50))]
    out.write(b'MM\0\x2a' + struct.pack('>IH', 8, len(entries)))
    for tag, kind, count, value in entries:
        out.write(struct.pack('>HHI', tag, kind, count) + value)
    out.write(struct.pack('>I', 0) + struct.pack('>HHHI', 1, 1, 2, 2) + b'N\0\0\0' + bytes(4) + b'secret')
with open(f'{sys.argv[1]}/xmp', 'w') as out:
    out.write('<x:xmpmeta>secret</x:xmpmeta>')
PY
make() {
    name=$1
    shift
    avifenc -s 6 -j 1 --min 20 --max 30 "$@" "$name.avif" >/dev/null
    avifdec -j 1 -d 8 -u bilinear --ignore-icc "$name.avif" "$name.png" >/dev/null
}
cd "$work"
make plain420 -y 420 rgb.png
make limited420 -y 420 -r limited -d 10 deep.png
make halved422 -y 422 -d 12 deep.png
make full444 -y 444 --cicp 1/13/1 rgb.png
make bt2020 -y 444 -d 10 --cicp 9/16/9 deep.png
make p3 -y 444 -d 10 --cicp 12/13/12 deep.png
make grey400 -y 400 -d 10 deep.png
make lossless -l rgb.png
make green_orange -y 444 -d 10 --cicp 1/13/8 deep.png
make clear420 -y 420 -d 10 rgba.png
make multiplied -y 444 -d 10 -p rgba.png
make clear_grey -y 400 -d 10 rgba.png
make grid -y 420 -d 10 -g 2x2 tile0.png tile1.png tile2.png tile3.png
make clear_grid -y 444 -d 10 -g 2x2 clear0.png clear1.png clear2.png clear3.png
make grain -y 420 -d 10 -a film-grain-test=1 deep.png
make told -y 420 -d 10 --exif exif --xmp xmp --irot 1 --imir 0 deep.png
avifenc -s 6 --crop 0,0,20,20 rgb.png cropped.avif >/dev/null
avifenc -s 6 rgb.png rgb.png film.avif >/dev/null
large() {
    name=$1
    shift
    avifenc -s 9 -j 1 --min 60 --max 63 --minalpha 60 --maxalpha 63 "$@" "$name.avif" >/dev/null
}
large large420 -y 420 large.png
large large444 -y 444 -d 10 --tilerowslog2 2 --tilecolslog2 2 middle.png
large large_grid -y 420 -g 4x3 part.png part.png part.png part.png part.png part.png part.png part.png part.png part.png \
    part.png part.png
large large_grain -y 422 -d 12 -a film-grain-test=2 part.png
cd - >/dev/null
for name in plain420 limited420 halved422 full444 bt2020 p3 grey400 lossless green_orange clear420 multiplied clear_grey \
    grid clear_grid grain told; do
    cp "$work/$name.avif" "$work/$name.png" .
done
cp "$work/cropped.avif" "$work/film.avif" "$work"/large*.avif .
