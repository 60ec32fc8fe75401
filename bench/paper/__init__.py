"""The MCMSH paper's tables and figures, made again: measured numbers beside published ones.

The one place above the registry that knows a paper and names methods.
"""

from bench.paper.reproduction import Reproduction, reproduce

__all__ = ["Reproduction", "reproduce"]
