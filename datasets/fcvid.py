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

    Settings: BTH's and MCMSH's own defaults are their values for this dataset.
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
    )
    sizes = Sizes({"train": 45_585, "test": 45_600}, frames=25, dimensions=4096, classes=239, several_classes=True)
