"""FCVID as SSVH's authors distribute it."""

from bench.data.description import Description, Files, SplitFiles
from bench.data.feature_files import FeatureFiles, Sizes


class Fcvid(FeatureFiles):
    """Fudan-Columbia Video Dataset: 239 categories of web video, 25 frames of 4096 VGG features each.

    Who queries whom: all 45,600 test videos query the 45,600 test videos. A query finds itself, and protocol `paper`
    counts that: where it ranks first it alone gives AP@k of 1/k. Protocol `strict` leaves it out.

    What is uncertain: the list of FCVID has 91,223 videos, the shared files hold 91,185. SSVH uses the first 24 frames
    of the 25. `fcv_train_labels.mat` exists too and is not needed: no method is shown training labels. No licence of
    the feature files is known; the videos are under the terms of the dataset's authors.

    Settings: the defaults of BTH, MCMSH, ConMH, AutoSSVH, SSTH and SSVH are their authors' values for this dataset,
    those of WSCH its authors' only ones. S5VH's `mask_ratio` and `cluster_weight` are those in the logs of its
    published numbers; its configuration has 0.75 and 0.01. These logs
    had no soft labels either (`label_smoothing` 0), which its code has now.
    """

    name = "fcvid"
    title = "FCVID"
    origin = "the Baidu links in the READMEs of github.com/huangmozhi9527/ConMH and github.com/gimpong/AAAI25-S5VH"
    description = Description(
        query="test",
        gallery="test",
        files=Files(
            train=SplitFiles(features="fcv_train_feats.h5"),
            test=SplitFiles(features="fcv_test_feats.h5", labels="fcv_test_labels.mat"),
        ),
        recommended={
            "s5vh": {
                "epochs": 500,
                "batch_size": 512,
                "mask_ratio": 0.3,
                "contrastive_weight": 2.5,
                "cluster_weight": 0.001,
            },
        },
    )
    sizes = Sizes({"train": 45_585, "test": 45_600}, frames=25, dimensions=4096, classes=239, several_classes=True)
