"""Which methods no other beats in both quality and cost."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], qualities: Sequence[float]) -> list[int]:
    """Indices of the points that no other point beats, by ascending cost.

    A point beats another if it costs no more and is no worse, and differs in one of both.
    """
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -qualities[index]))
    front: list[int] = []
    for index in order:
        point = (costs[index], qualities[index])
        if not front or point[1] > qualities[front[-1]] or point == (costs[front[-1]], qualities[front[-1]]):
            front.append(index)
    return front
