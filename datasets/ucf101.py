"""UCF101 as S5VH's authors distribute it."""

from bench.data.description import Description, Files, SplitFiles
from bench.data.feature_files import FeatureFiles, Sizes


class Ucf101(FeatureFiles):
    """UCF101: 101 human actions, 25 frames of 4096 features each.

    Who queries whom: the 3,783 test videos query the 9,537 training videos, so the gallery is what methods learn from.

    What is uncertain: which network the features come from is not stated; the dimension is VGG's. The sizes are those
    of the dataset's official split 1, which nobody names. No licence of the feature files is known; the videos
    are under the terms of the dataset's authors.

    Settings: those of the authors' code for AutoSSVH and S5VH (whose 101 clusters are 100 here); for ConMH, whose
    authors do not use this dataset, those in AutoSSVH's repository. No source gives values for BTH, MCMSH or WSCH
    that differ from their defaults.
    """

    name = "ucf101"
    title = "UCF101"
    origin = "the Baidu link in the README of github.com/gimpong/AAAI25-S5VH"
    description = Description(
        query="test",
        gallery="train",
        files=Files(
            train=SplitFiles(features="ucf_train_feats.h5", labels="ucf_train_labels.mat"),
            test=SplitFiles(features="ucf_test_feats.h5", labels="ucf_test_labels.mat"),
        ),
        recommended={
            "conmh": {"epochs": 505, "batch_size": 128, "mask_ratio": 0.5, "learning_rate_floor": 1e-6},
            "autossvh": {
                "epochs": 350,
                "batch_size": 128,
                "mask_ratio": 0.5,
                "prototype_weight": 0.2,
                "learning_rate_floor": 1e-6,
            },
        },
    )
    sizes = Sizes({"train": 9537, "test": 3783}, frames=25, dimensions=4096, classes=101)
