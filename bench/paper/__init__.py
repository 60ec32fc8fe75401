"""The MCMSH paper's tables and figures, made again: measured numbers beside published ones.

The one place above the registry that knows a paper and names methods.
"""

from bench.paper.reproduction import Prepared, Reproduction, prepare, reproduce

__all__ = ["Prepared", "Reproduction", "prepare", "reproduce"]
