"""The paper's Tables 1 and 2: measured mAP@k of every row beside the published one."""

from bench.report.published import PAPER, PAPER_DATASET, paper_scores
from bench.report.recipe import Results
from bench.report.tables import Table

from ..beside import Beside, beside, quality_table


def paper_table(results: Results, table: int, comparable: bool) -> Beside:
    """Measured scores of the rows of Table 1 or 2 with the published ones."""
    return beside(results, paper_scores(table), PAPER_DATASET, comparable)


def backbone_table(shown: Beside) -> Table:
    """Table 1: five backbones at 32 and 64 bits."""
    return _table(shown, 1, "backbone", "Backbones with the losses of MCMSH")


def loss_table(shown: Beside) -> Table:
    """Table 2: the losses of the three structures alone, in pairs and together, at 64 bits."""
    return _table(shown, 2, "loss", "Structures that the losses preserve, on the backbone MC-MLP")


def _table(shown: Beside, table: int, what: str, caption: str) -> Table:
    full = f"{caption}, {{conditions}} (Table {table} of the paper)."
    return quality_table(shown, f"table{table}", what, full, f"{PAPER}, Table {table}")
