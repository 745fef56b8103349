"""How backgrounds are coded, by a plain reading of FORMAT.md."""

from collections import Counter

import numpy as np


class PlainCoder:
    """Bits and their probabilities, by FORMAT.md."""

    def __init__(self):
        self.probabilities, self.bits = [], []
        self.forget()

    def forget(self):
        self.seen, self.ones = Counter(), Counter()

    def round(self, kind, entries):
        """Entries of first probability, context and bit."""
        if len(entries) > 16:
            half = 1 << (len(entries) - 1).bit_length() - 1
            self.round(kind, entries[:half])
            entries = entries[half:]
        for first, context, bit in entries:
            at = kind, context
            k = (4 * first + 65536 * self.ones[at]) // (4 + self.seen[at])
            self.probabilities.append(min(max(k, 32), 65504))
            self.bits.append(int(bit))
        for _, context, bit in entries:
            self.seen[kind, context] += 1
            self.ones[kind, context] += int(bit)

    def even(self, bits):
        self.probabilities += [32768] * len(bits)
        self.bits += map(int, bits)


def level(x, *edges):
    return sum(edge <= x for edge in edges)


def plain_told(coder, told, luma):
    rows, columns = told.shape

    def there(r, c):
        return int(0 <= r < rows and 0 <= c < columns and told[r, c])

    for r in range(rows):
        for side in (0, 1):
            entries = []
            for c in range(side, columns, 2):
                above = there(r - 1, c - 1) + there(r - 1, c) + there(r - 1, c + 1)
                beside = side * (there(r, c - 1) + there(r, c + 1))
                below = 0 if luma is None else luma[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].sum()
                context = ((4 * side + above) * 3 + beside) * 5 + below
                entries.append((32768, context, told[r, c]))
            coder.round("told", entries)


PERCENT = {
    "some": [2, 2, 3, 6, 12, 20, 31, 43, 56, 67, 76, 82, 88, 91, 94, 96, 97, 97, 97],
    "more": [10, 10, 10, 11, 14, 17, 22, 30, 40, 52, 63, 73, 80, 86, 90, 93, 95, 96, 98],
    "on": [25, 28, 33, 38, 44, 48, 52, 54, 57, 60, 63, 67, 70, 75, 80, 88, 90, 93, 95],
}
SIZES_AROUND = 1, 2, 3, 5, 7, 11, 15, 22, 31, 45, 63, 90, 127, 181, 255, 362, 511, 724


def plain_levels(coder, plane, fade=0):
    order = sorted(((y, x) for y in range(8) for x in range(8)), key=lambda p: (sum(p), p[0]))
    rows, columns = plane.told.shape

    def m(r, c, y, x):
        if not (0 <= r < rows and 0 <= c < columns and y >= 0 <= x < 8 and plane.told[r, c]):
            return 0
        return abs(int(plane.levels[r, c, y, x]))

    def beside(r, c):
        return (r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)

    def before(r, c, number, count):
        return sum(m(r, c, *p) for p in order[max(0, number - count) : number])

    def early(r, c, number, y, x):
        odd = (r + c) % 2
        own = level(2 * m(r, c, y - 1, x) + 2 * m(r, c, y, x - 1) + m(r, c, y - 1, x - 1),
                    1, 2, 3, 5, 9)
        near = level(sum(m(*at, y - 1, x) + m(*at, y, x - 1) + 2 * odd * m(*at, y, x)
                         for at in beside(r, c)), 1, 2, 3, 5, 9)
        last = min(2, before(r, c, number, 6))
        band = level(y + x, 1, 2, 3, 5, 8)
        some = 65536 * (3 + 6 * near + 9 * own) // 100
        return ((some, (((6 * odd + band) * 6 + own) * 6 + near) * 3 + last),
                (16384, 6 * own + near), (32768, 0))

    def later(r, c, number, y, x):
        odd, band, part = (r + c) % 2, level(y + x, 1, 2, 3, 5, 8), level(y + x, 1, 4)
        past = level(before(r, c, number, 14), 1, 3)
        total = 4 * (m(r, c, y - 1, x) + m(r, c, y, x - 1)) + 3 * m(r, c, y - 1, x + 1)
        total += 2 * (m(r, c, y - 2, x) + m(r, c, y, x - 2))
        total += sum(m(*at, y - 1, x) + m(*at, y, x - 1) + 3 * odd * m(*at, y, x)
                     for at in beside(r, c))
        size = level(total, *SIZES_AROUND)
        some, more, on = (65536 * PERCENT[kind][size] // 100 for kind in ("some", "more", "on"))
        return ((some, ((6 * odd + band) * 19 + size) * 3 + past),
                (more, (3 * odd + part) * 19 + size), (on, 15 * size))

    for number, (y, x) in enumerate(order):
        for odd in (0, 1):
            told = [(r, c) for r in range(rows) for c in range(columns)
                    if plane.told[r, c] and (r + c) % 2 == odd]
            contexts = later if fade else early
            blocks = [(m(r, c, y, x), *contexts(r, c, number, y, x)) for r, c in told]
            coder.round("some", [(*some, size > 0) for size, some, *_ in blocks])
            coder.round("more", [(*more, size > 1) for size, _, more, _ in blocks if size])
            for n in range(2, 15):
                coder.round("on", [(first, on + n, size > n)
                                   for size, *_, (first, on) in blocks if size > n - 1])
            rest = [b[0] - 14 for b in blocks if b[0] > 14]
            widths = [v.bit_length() - 1 for v in rest]
            for i in range(max(widths, default=-1) + 1):
                coder.even([w > i for w in widths if w >= i])
            for i in reversed(range(max(widths, default=0))):
                coder.even([v >> i & 1 for v, w in zip(rest, widths, strict=True) if w > i])
            coder.even([plane.levels[r, c, y, x] < 0 for r, c in told if m(r, c, y, x)])


def plain_moves(coder, moves):
    """Moves int [P, 4, 2] of the corners."""
    moves = [[[int(v) for v in corner] for corner in picture] for picture in moves]

    def changes(rows):
        return [[[b - a for a, b in zip(p, q, strict=True)] for p, q in zip(x, y, strict=True)]
                for x, y in zip([[[0, 0]] * 4, *rows], rows, strict=False)]

    def size(rows):
        return sum(abs(v) for row in rows[len(moves) - len(rows):] for p in row for v in p)

    first, second = changes(moves), changes(changes(moves))
    steady = size(second[2:]) < size(first[1:])
    coder.even([steady])
    numbers = []
    for a, b, c, d in second if steady else first:
        for x in (0, 1):
            numbers += [(x, 0, a[x]), (x, 1, b[x] - a[x]), (x, 1, c[x] - a[x]),
                        (x, 2, d[x] - b[x] - c[x] + a[x])]
        numbers[-8:] = [numbers[-8 + i] for i in (0, 4, 1, 5, 2, 6, 3, 7)]
    most = max(abs(v).bit_length() for *_, v in numbers)
    for i in range(most + 1):
        coder.round("wide", [(32768, 22 * kind + i, abs(v).bit_length() > i)
                             for _, kind, v in numbers if abs(v).bit_length() >= i])
    for i in reversed(range(most)):
        coder.even([abs(v) >> i & 1 for *_, v in numbers if abs(v).bit_length() > i + 1])
    coder.even([v < 0 for *_, v in numbers if v])


def plain_maps(coder, told, maps):
    rows, columns = told.shape
    before = np.zeros_like(told)

    def there(grid, r, c):
        return int(0 <= r < rows and 0 <= c < columns and grid[r, c])

    for turn, now in enumerate(maps):
        later = int(turn > 0)
        for odd in (0, 1):
            entries = []
            for r, c in zip(*np.nonzero(told), strict=True):
                if (r + c) % 2 == odd:
                    last = there(before, r, c)
                    around = sum(there(now if odd else before, *at)
                                 for at in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)))
                    first = (61440 if last else 4096) if later else 32768
                    context = (4 * later + 2 * odd + last) * 5 + around
                    entries.append((first, context, now[r, c]))
            coder.round("shown", entries)
        before = now
