"""What a cluster that grows on demand starts for runs that wait."""

import sys

import ray

from bench.cluster.capacity import Node


def possible_nodes(most: int) -> list[Node]:
    """The nodes that the cluster could start, `most` of a kind at most; none where it does not grow.

    Its autoscaler publishes the kinds. A kind that says nothing of its memory is taken to have enough.
    """
    try:
        # Ray's own libraries read it there; there is no public way.
        config = ray._private.state.state.get_cluster_config()
    except AttributeError:  # in another version of Ray
        return []
    kinds = config.node_group_configs if config else []
    return [
        {"memory": sys.maxsize, **kind.resources}
        for kind in kinds
        for _ in range(most if kind.max_count < 0 else min(kind.max_count, most))
    ]
