"""ActivityNet as BTH's authors distribute it."""

from bench.data.description import Description, Files, SplitFiles
from bench.data.feature_files import FeatureFiles, Sizes

_VIEWS = {"batch_size": 128, "mask_ratio": 0.5, "contrastive_weight": 0.2, "tau_plus": 0.05}


class ActivityNet(FeatureFiles):
    """ActivityNet (most likely 1.3): 200 activities, 30 frames of 2048 ResNet-50 features each.

    Who queries whom: 1,000 query videos query 3,758 test videos. With 18.8 relevant videos a query on average, mAP@100
    under protocol `paper` stays below 0.19 even for a perfect ranking.

    What is uncertain: queries and test videos lie in separate files and are presumably disjoint, 4,758 of the 4,926
    videos of ActivityNet's validation set; nobody says so. The authors take the sign of a mean over 30 frame codes
    of ±1, which can be 0: their codes are then ternary and their distances half-integers. Here 0 counts as +1, and
    codes have two values. No licence of the feature files is known; the videos are under ActivityNet's terms.

    Settings: those of the authors' code for ConMH, AutoSSVH and S5VH; WSCH's defaults are its authors' values, shipped
    with this dataset's files. No source gives values for BTH or MCMSH that differ from their defaults.
    """

    name = "activitynet"
    title = "ActivityNet"
    origin = "the Baidu links in the READMEs of github.com/huangmozhi9527/ConMH and github.com/gimpong/AAAI25-S5VH"
    description = Description(
        query="query",
        gallery="test",
        files=Files(
            train=SplitFiles(features="train_feats.h5"),
            test=SplitFiles(features="test_feats.h5", labels="re_label.mat", labels_key="re_label"),
            query=SplitFiles(features="query_feats.h5", labels="q_label.mat", labels_key="q_label"),
        ),
        recommended={
            "conmh": {"epochs": 500, **_VIEWS},
            "autossvh": {"epochs": 800, **_VIEWS, "learning_rate_floor": 1e-6, "input_dropout": 0.2},
            "s5vh": {"contrastive_weight": 0.2, "tau_plus": 0.05, "cluster_weight": 0.001},
        },
    )
    sizes = Sizes({"train": 9722, "test": 3758, "query": 1000}, frames=30, dimensions=2048, classes=200)
