"""What an encoding would need at the machine's measured rates (Williams et al., Roofline, CACM 2009)."""

FLOAT_BYTES = 4


def moved_bytes(frames: int, dimensions: int, bits: int, encoder_bytes: int, batch: int) -> float:
    """The least memory that encoding one video of a batch moves: its features in, its K outputs out, both float32, and
    its share of reading the weights once.
    """
    return FLOAT_BYTES * (frames * dimensions + bits) + encoder_bytes / batch


def needed_seconds(multiply_adds: float, moved: float, product_rate: float, copy_rate: float) -> float:
    """max(multiply-adds / product rate, bytes / copy rate): what limits if computing and moving overlap perfectly."""
    return max(multiply_adds / product_rate, moved / copy_rate)


def attainable_rate(intensity: float, product_rate: float, copy_rate: float) -> float:
    """Multiply-adds a second that the roof allows at an intensity in multiply-adds a byte."""
    return min(product_rate, intensity * copy_rate)
