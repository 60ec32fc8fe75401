"""The subset of YFCC100M that SSVH's authors distribute."""

from bench.data.description import Description, Files, SplitFiles
from bench.data.feature_files import FeatureFiles, Sizes


class Yfcc(FeatureFiles):
    """YFCC100M, a subset: 80 concepts, 25 frames of 4096 VGG features for each video, in 9 + 2 part files.

    Who queries whom: 1,000 query videos, in a file of their own, query the 101,256 test videos.

    What is uncertain: whether the queries are among the test videos. They very likely are (BTH's authors were asked and
    did not answer); then every query finds itself under both protocols, since `strict` leaves a query out only where
    queries and gallery are one set. How many videos each part holds is not stated; the totals are. No licence of
    the feature files is known; the videos are under Creative Commons licences that differ from video to video.

    Settings: ConMH's are its authors'. AutoSSVH and S5VH have none for this dataset: their epochs are ConMH's here,
    and S5VH's labels begin to follow its predictions after the same share of them as elsewhere. No source gives values
    for BTH, MCMSH or WSCH that differ from their defaults.
    """

    name = "yfcc"
    title = "YFCC100M subset"
    origin = "the Baidu link in the README of github.com/huangmozhi9527/ConMH"
    description = Description(
        query="query",
        gallery="test",
        files=Files(
            train=SplitFiles(features=[f"yfcc_train_feats_{part}.h5" for part in range(1, 10)]),
            test=SplitFiles(
                features=["yfcc_test_feats_1.h5", "yfcc_test_feats_2.h5"],
                labels=["yfcc_test_labels_1.mat", "yfcc_test_labels_2.mat"],
            ),
            query=SplitFiles(features="query1000_feats.h5", labels="query1000_labels.mat"),
        ),
        recommended={
            "conmh": {"epochs": 40, "batch_size": 128},
            "autossvh": {"epochs": 40, "batch_size": 128},
            "s5vh": {"epochs": 40, "label_warm_up_epochs": 6},
        },
    )
    sizes = Sizes(
        {"train": 409_788, "test": 101_256, "query": 1000},
        frames=25,
        dimensions=4096,
        classes=80,
        several_classes=True,
    )
