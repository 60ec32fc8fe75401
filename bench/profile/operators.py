"""Operators with a known count of operations, and the roofline model."""

from collections.abc import Iterable

ELEMENTWISE = (
    "abs", "add", "atan2", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "clamp", "clamp_max", "clamp_min", "cos",
    "div", "elu", "erf", "exp", "floor", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log", "log1p",
    "lerp", "maximum", "minimum", "mish", "mul", "neg", "pow", "prelu", "reciprocal", "relu", "round", "rsqrt", "rsub",
    "selu", "sigmoid", "sign", "silu", "sin", "softplus", "sqrt", "square", "sub", "tanh", "where", "__and__",
    "__lshift__", "__or__", "__rshift__", "__xor__",
)  # fmt: skip

REDUCTIONS = {"sum": 1, "mean": 1, "amax": 1, "amin": 1, "max": 1, "var": 4, "std": 5, "linalg_vector_norm": 2}

SOFTMAXES = ("softmax", "log_softmax")

ADAPTIVE = ("adaptive_avg_pool1d", "adaptive_max_pool1d")

POOLING = ("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d")

MOVING = (
    "adaptive_max_pool2d", "alias", "all", "any", "argmax", "argmin", "argsort", "as_strided", "broadcast_to", "clone",
    "cumsum", "diagonal", "embedding", "empty_like", "exp2", "expand_as", "expm1", "fill", "flip", "glu",
    "index_select", "isnan", "le", "lift_fresh", "linspace", "log2", "log_sigmoid", "logical_and", "logical_not",
    "logical_or", "logsumexp", "lt", "masked_select", "median", "min", "movedim", "ne", "new_ones", "norm", "one_hot",
    "pad", "prod", "rand", "rand_like", "randn", "randn_like", "relu6", "repeat", "repeat_interleave", "reshape_as",
    "scatter", "sgn", "softsign", "sort", "std_mean", "take_along_dim", "tan", "threshold", "tile", "topk", "tril",
    "triu", "trunc", "unflatten", "unfold", "unsafe_chunk", "unsafe_split", "var_mean", "view_as", "zero",
)  # fmt: skip
"""Operators that move, make, compare or reduce values, or compute them one by one, and have no formula here."""

WITHOUT_PRODUCTS = {*ELEMENTWISE, *REDUCTIONS, *SOFTMAXES, *ADAPTIVE, *POOLING, *MOVING}


def plain(operator: str) -> str:
    """The name of an operator without the underscore that says that it works in place."""
    return operator if operator.endswith("__") else operator.rstrip("_")


def may_hold_products(operators: Iterable[str]) -> list[str]:
    """Those of the operators that may hold multiply-adds of products, such as layers fused into one operator.

    Where fvcore has no count for one of them, its count of multiply-adds is a lower bound.
    """
    return sorted(operator for operator in operators if plain(operator) not in WITHOUT_PRODUCTS)


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
