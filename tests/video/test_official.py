"""The official split files of UCF101 and HMDB51, in the form in which they are distributed."""

from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.video.official import official

UCF = {
    "classInd.txt": "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n",
    "trainlist02.txt": "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1\r\n"
    "HandstandPushups/v_HandStandPushups_g01_c01.avi 2\r\n",
    "testlist02.txt": "HandstandPushups/v_HandStandPushups_g08_c01.avi\r\n",
}
HMDB = {
    "brush_hair_test_split1.txt": "a_brush_hair_f_nm_np1_ba_goo_0.avi 1 \nb[1]_brush_hair.avi 2 \n"
    "c_brush_hair.avi 0 \n",
    "wave_test_split1.txt": "d_wave.avi 2 \ne_wave.avi 1 \n",
    "wave_test_split2.txt": "d_wave.avi 1 \ne_wave.avi 2 \n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return folder


def test_ucf101(tmp_path: Path) -> None:
    splits = write(tmp_path / "splits", UCF)
    video = tmp_path / "videos/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    video.parent.mkdir(parents=True)
    video.touch()
    found = official("ucf101", tmp_path / "videos", splits, 2)
    assert [(entry.name, entry.labels, entry.split) for entry in found.videos] == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", ("ApplyEyeMakeup",), "train"),
        ("HandstandPushups/v_HandStandPushups_g01_c01.avi", ("HandstandPushups",), "train"),
        ("HandstandPushups/v_HandStandPushups_g08_c01.avi", ("HandstandPushups",), "test"),
    ]
    assert found.videos[0].path == video
    assert (found.name, found.title, found.roles) == ("ucf101", "UCF101, split 2", ("test", "train"))
    assert found.classes == ["ApplyEyeMakeup", "HandstandPushups"]


def test_hmdb51(tmp_path: Path) -> None:
    splits = write(tmp_path / "splits", HMDB)
    (tmp_path / "videos/wave").mkdir(parents=True)
    (tmp_path / "videos/wave/d_wave.avi").touch()
    found = official("hmdb51", tmp_path / "videos", splits, 1)
    assert [(entry.name, entry.split) for entry in found.videos] == [
        ("brush_hair/a_brush_hair_f_nm_np1_ba_goo_0.avi", "train"),
        ("brush_hair/b[1]_brush_hair.avi", "test"),
        ("wave/d_wave.avi", "test"),
        ("wave/e_wave.avi", "train"),
    ]
    assert [entry.split for entry in official("hmdb51", tmp_path / "videos", splits, 2).videos] == ["train", "test"]


@pytest.mark.parametrize(
    ("name", "files", "number", "message"),
    [
        ("ucf101", UCF, 1, r"trainlist01.txt: no such file; download the dataset's official splits"),
        ("ucf101", UCF, 4, "--split 4: UCF101 has the official splits 1, 2 and 3"),
        ("ucf101", {**UCF, "testlist02.txt": "video.avi\n"}, 2, "line 1 is 'video.avi', not Class/video.avi"),
        ("ucf101", UCF, 2, r"holds none of the 3 videos .* such as ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"),
        ("hmdb51", UCF, 1, "holds no file such as brush_hair_test_split1.txt"),
        (
            "hmdb51",
            {"wave_test_split1.txt": "d_wave.avi 3\n"},
            1,
            "line 1 is 'd_wave.avi 3', not video.avi and 0, 1 or 2",
        ),
    ],
)
def test_splits_that_cannot_be_used(
    name: str, files: dict[str, str], number: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(InputError, match=message):
        official(name, tmp_path / "videos", write(tmp_path / "splits", files), number)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--videos .*: no such folder"):
        official("ucf101", tmp_path / "videos", tmp_path, 1)
    with pytest.raises(InputError, match=r"--splits .*: no such folder"):
        official("ucf101", tmp_path, tmp_path / "splits", 1)
