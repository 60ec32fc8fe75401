"""Metadata of the numbers in a record, declared once beside their types."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args, get_type_hints

from pydantic import BaseModel

SCALES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "M": 1e6}
"""Size of each unit in the unit of the records, bytes or one."""


@dataclass(frozen=True)
class Quantity:
    """A number in the record of a run, as `Annotated[float, Quantity(…)]` declares it. Its name is the field's.

    Attributes:
        title: heading of its column in tables. `@k` in it stands for the cut-off, where there is one value for each.
        better: whether a higher or a lower value is better.
        unit: of the values in tables: empty for plain numbers, `%` for a share in percent, else one of `SCALES`.
        note: a sentence for the foot of a table; empty where the title says enough.
    """

    title: str
    better: Literal["higher", "lower"]
    unit: str = ""
    note: str = ""

    @property
    def heading(self) -> str:
        """The title with the unit, unless values are shown with theirs."""
        return f"{self.title} ({self.unit})" if self.unit in SCALES else self.title

    @property
    def scale(self) -> float:
        """The divisor that converts a value of the record to the unit."""
        return SCALES.get(self.unit, 1)


@cache
def quantities(model: type[BaseModel]) -> dict[str, Quantity]:
    """The quantities that a model declares, by name: those of its fields in their order, then of its properties."""
    hints = get_type_hints(model, include_extras=True)
    for name, member in vars(model).items():
        if isinstance(member, property):
            hints[name] = get_type_hints(member.fget, include_extras=True).get("return")
    return {name: found for name, hint in hints.items() for found in get_args(hint) if isinstance(found, Quantity)}
