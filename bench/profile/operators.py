"""Operators with a known count of operations, and the roofline model."""

from collections.abc import Iterable

FLOAT_BYTES = 4
ELEMENTWISE = (
    "abs", "add", "addcdiv", "addcmul", "atan2", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "clamp",
    "clamp_max", "clamp_min", "cos", "div", "elu", "erf", "exp", "floor", "gelu", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "lerp", "log", "log1p", "maximum", "minimum", "mish", "mul", "neg", "pow", "prelu",
    "reciprocal", "relu", "round", "rsqrt", "rsub", "selu", "sigmoid", "sign", "silu", "sin", "softplus", "sqrt",
    "square", "sub", "tanh", "where", "__and__", "__lshift__", "__or__", "__rshift__", "__xor__",
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
"""Operators without products and without a formula here: they move, create, compare, reduce or map values."""
WITHOUT_PRODUCTS = {*ELEMENTWISE, *REDUCTIONS, *SOFTMAXES, *ADAPTIVE, *POOLING, *MOVING}


def plain(operator: str) -> str:
    """The name of an operator without the underscore that marks in-place operators."""
    return operator if operator.endswith("__") else operator.rstrip("_")


def may_hold_products(operators: Iterable[str]) -> list[str]:
    """The operators that may contain multiply-adds of products, such as fused layers.

    If fvcore cannot count one of them, its number of multiply-adds is a lower bound.
    """
    return sorted(operator for operator in operators if plain(operator) not in WITHOUT_PRODUCTS)


def moved_bytes(frames: int, dimensions: int, bits: int, encoder_bytes: int, batch: int) -> float:
    """The least number of bytes moved to encode one video of a batch.

    Its features and K outputs in float32, and its share of reading the weights once.
    """
    return FLOAT_BYTES * (frames * dimensions + bits) + encoder_bytes / batch


def needed_seconds(multiply_adds: float, moved: float, product_rate: float, copy_rate: float) -> float:
    """max(multiply-adds / product rate, bytes / copy rate): the time if computing and copying overlap perfectly."""
    return max(multiply_adds / product_rate, moved / copy_rate)


def attainable_rate(intensity: float, product_rate: float, copy_rate: float) -> float:
    """Multiply-adds per second that the roofline allows at an intensity in multiply-adds per byte."""
    return min(product_rate, intensity * copy_rate)
