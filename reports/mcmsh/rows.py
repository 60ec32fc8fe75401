"""Rows and code lengths of the MCMSH paper's tables and figures (Hao et al., ACM MM 2022)."""

from bench.report.recipe import Need, Row


def _losses(label: str, cluster: float, similarity: float, quadruplet: float) -> Row:
    # The quantisation loss keeps its weight in every row: the paper's Table 2 varies the weights of its three
    # structures only, and the cluster loss alone would not reach the layer that makes the codes.
    weights = {"cluster_weight": cluster, "similarity_weight": similarity, "quadruplet_weight": quadruplet}
    return Row(label, "mcmsh", weights)


WITHOUT_BRANCHES = Row("MLP-Mixer", "mlp-mixer")
BACKBONES = (
    WITHOUT_BRANCHES,
    Row("+L-RD", "mixer-lrd"),
    Row("+M-RD", "mixer-mrd"),
    Row("+S-RD", "mixer-srd"),
    Row("MC-MLP", "mcmsh"),
)
LOSSES = (
    _losses("cluster (1)", 1, 0, 0),
    _losses("sim (1)", 0, 1, 0),
    _losses("quad (1)", 0, 0, 1),
    _losses("0.8 cluster + 0.1 sim", 0.8, 0.1, 0),
    _losses("0.8 cluster + 0.01 quad", 0.8, 0, 0.01),
    _losses("0.1 sim + 0.01 quad", 0, 0.1, 0.01),
    Row("MCMSH (all)", "mcmsh"),
)
BTH, MCMSH = Row("BTH", "bth"), Row("MCMSH", "mcmsh")
TABLES = {
    "table1": Need("table1", BACKBONES, (32, 64)),
    "table2": Need("table2", LOSSES, (64,)),
    # 64 bits: the code length at which MCMSH has the 1.76 M parameters that the paper's Table 3 gives.
    "table3": Need("table3", (BTH, MCMSH), (64,)),
}
EMBEDDING = Need("embedding", (WITHOUT_BRANCHES, Row("MC-MLP", "mcmsh")), (64,))
RETRIEVAL = Need("retrieval", (MCMSH, BTH), (64,))
