"""The kernel of `cuda`, in Triton, which PyTorch's CUDA builds bring along; import this module only where it is."""

import triton
import triton.language as tl


# Not compiled again for the last, shorter block.
@triton.jit(do_not_specialize=["rows", "items", "words", "label_words", "size"])
def count_tiles(
    queries: tl.tensor, gallery: tl.tensor, query_labels: tl.tensor, gallery_labels: tl.tensor, counts: tl.tensor,
    rows: tl.tensor, items: tl.tensor, words: tl.tensor, label_words: tl.tensor, size: tl.tensor,
    GROUP: tl.constexpr, TILE: tl.constexpr, BINS: tl.constexpr,
) -> None:  # fmt: skip
    """Add a tile of items to the counts of a group of queries.

    Args:
        queries, query_labels: int32 (rows, words) and (rows, label_words), bits of codes and of labels.
        gallery, gallery_labels: int32 (words, items) and (label_words, items), the same.
        counts: int32 (rows, 2, size), zeros at first; the items at every distance, irrelevant and relevant ones.
        rows, items, words, label_words, size: the sizes; size = K + 1.
        GROUP, TILE: queries and items that one program counts; programs are (groups, tiles).
        BINS: a power of two above 2 `size`.
    """
    # Programs that run side by side share a tile, so that all but the first find it in the level-1 cache.
    first, start = tl.program_id(0) * GROUP, tl.program_id(1) * TILE
    item = start + tl.arange(0, TILE)
    inside = item < items
    cell = tl.arange(0, BINS)
    for row in range(first, min(first + GROUP, rows)):
        distance = tl.full([TILE], 0, tl.uint32)
        plane = gallery + item
        for word in range(words):
            distance += _ones(tl.load(queries + row * words + word) ^ tl.load(plane, mask=inside, other=0))
            plane += items
        shared = tl.full([TILE], 0, tl.int32)
        plane = gallery_labels + item
        for word in range(label_words):
            labels = tl.load(query_labels + row * label_words + word)
            if labels != 0:
                shared |= labels & tl.load(plane, mask=inside, other=0)
            plane += items
        place = distance.to(tl.int32) + tl.where(shared != 0, size, 0)
        found = tl.histogram(tl.where(inside, place, BINS - 1), BINS)
        tl.atomic_add(counts + row * 2 * size + cell, found, mask=(cell < 2 * size) & (found > 0), sem="relaxed")


@triton.jit
def _ones(word: tl.tensor) -> tl.tensor:
    """The number of ones among 32 bits, in the form that compilers know to be one instruction."""
    bits = word.to(tl.uint32, bitcast=True)
    bits -= (bits >> 1) & 0x55555555
    bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
    return (((bits + (bits >> 4)) & 0x0F0F0F0F) * 0x01010101) >> 24
