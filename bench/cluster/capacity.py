"""What runs ask for, and how many of them the nodes of a cluster can take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.data.space import gigabytes
from bench.errors import InputError
from bench.running.apart import Isolation
from bench.sweep import PlannedRun

Node = Mapping[str, float]
"""What a node has, as Ray counts it: `CPU`, `GPU`, `memory` in bytes."""
MEND = "lower --threads or --memory-limit, or start such a node"


@dataclass(frozen=True)
class Need:
    """What a run asks for."""

    cpus: int
    gpus: float
    memory: int | None
    """Bytes."""

    def __str__(self) -> str:
        parts = [f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        parts += [f"{self.gpus:g} GPU"] if self.gpus else []
        parts += [f"{gigabytes(self.memory)} of memory"] if self.memory else []
        return ", ".join(parts)

    def fits(self, node: Node) -> int:
        """How many such runs a node takes at once."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory or 0}
        return min(int(node.get(name, 0) / amount) for name, amount in asked.items() if amount)


def need_of(run: PlannedRun, rules: Isolation, device: str, nodes: Sequence[Node]) -> Need:
    """What the method declares, `--threads` and `--memory-limit` going before; a GPU only where there is one.

    Raises InputError if the device is to be a GPU and no node has one.
    """
    declared = run.method.resources(run.summary)
    there = any(node.get("GPU", 0) for node in nodes)
    if device == "cuda" and not there:
        raise InputError("device 'cuda': no node of the cluster has a GPU that Ray knows of; use auto or cpu")
    gpus = declared.gpus if there and device != "cpu" else 0.0
    return Need(rules.threads or declared.cpus, gpus, rules.memory_limit or declared.memory)


def require_room(needs: Mapping[str, Need], nodes: Sequence[Node]) -> None:
    """InputError naming the first run that no node could ever take."""
    for name, need in needs.items():
        if not any(need.fits(node) for node in nodes):
            most = {key: max((node.get(key, 0) for node in nodes), default=0) for key in ("CPU", "GPU", "memory")}
            raise InputError(
                f"{name} asks for {need}, which no node of the cluster has (at most {most['CPU']:g} CPUs, "
                f"{most['GPU']:g} GPUs, {gigabytes(int(most['memory']))}); {MEND}"
            )


def at_once(needs: Sequence[Need], nodes: Sequence[Node]) -> int:
    """How many of these runs the nodes take at the same time, at most: one at least, all at most."""
    most = max((sum(need.fits(node) for node in nodes) for need in set(needs)), default=1)
    return max(1, min(most, len(needs)))
