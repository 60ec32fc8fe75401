"""`bench extract`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.cli.options import Device

if TYPE_CHECKING:
    from bench.video.sources import Collection


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def extract(
    videos: Annotated[
        str, typer.Argument(help="A folder of videos, whose sub-folders are classes; a CSV; or ucf101, hmdb51.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the features; give it to --datasets.", parser=named_path, metavar="PATH")
    ],
    backbone: Annotated[
        str,
        typer.Option(
            help="The network: efficientnet-lite0, a name of torchvision's such as resnet50 or vgg16, timm:NAME, "
            "open_clip:NAME/PRETRAINED, or FILE.onnx."
        ),
    ] = "efficientnet-lite0",
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Frames of a video.")] = 25,
    weights: Annotated[
        Path | None,
        typer.Option(help="File with the network's weights; default: its own.", parser=named_path, metavar="PATH"),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.9, help="Share of each class that become queries; default: 0.25 with labels, else 0."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--videos", help="For ucf101, hmdb51: the folder of videos.", parser=named_path, metavar="PATH"),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="For ucf101, hmdb51: the folder of official splits.", parser=named_path, metavar="PATH"),
    ] = None,
    split: Annotated[int, typer.Option(help="For ucf101, hmdb51: the official split, 1 to 3.")] = 1,
    on_error: Annotated[
        str, typer.Option(help="What a video that cannot be used does: continue with the others, or stop.")
    ] = "continue",
    jobs: Annotated[int | None, typer.Option(min=1, help="Videos decoded at a time; default: one a core.")] = None,
    device: Device = "auto",
) -> int:
    """Turn video files into a feature folder; repeat the command to continue after an interruption."""
    from bench.base.processes import usable_cores
    from bench.base.progress import progress
    from bench.base.text import say
    from bench.data.convert import require_new_folder
    from bench.encoding.fitting import choose_device
    from bench.video import require_decoder

    if on_error not in {"continue", "stop"}:
        raise InputError(f"--on-error {on_error}: expected continue or stop")
    require_decoder()
    require_new_folder(out)
    collection = _collection(videos, folder, splits, split, test_share)
    from bench.video.extract import VideoFailedError
    from bench.video.extract import extract as write_features
    from bench.video.extractor import extractor
    from bench.video.manifest import problems

    using = extractor(backbone, weights, frames, choose_device(device))
    sizes = " and ".join(f"{count:,} {name}" for name, count in collection.sizes.items())
    labels = f"of {len(collection.classes)} classes" if collection.classes else "without labels"
    query, gallery = collection.roles
    searched = "each other" if query == gallery else f"{gallery} videos"
    say(f"{out}: {sizes} videos {labels}; {query} videos search {searched}")
    if collection.left_out:
        say(
            f"{out}: left out, no videos by their names: {len(collection.left_out):,}, such as {collection.left_out[0]}"
        )
    try:
        rows = write_features(
            collection, using, out, jobs or usable_cores(), progress(), stop_at_failures=on_error == "stop"
        )
    except VideoFailedError as error:
        say(f"bench: {error}; stopped as --on-error says, repeat the command to continue")
        return 1
    for line in problems(rows):
        say(f"{out}: {line}")
    lacking = {query, gallery, "train"} - {row.split for row in rows if row.state == "done"}
    if lacking:
        say(f"{out}: is no dataset yet: no video of the split {' and '.join(sorted(lacking))} could be used")
    print(out)
    return 1 if any(row.state == "failed" for row in rows) else 0


def _collection(
    videos: str, folder: Path | None, splits: Path | None, split: int, test_share: float | None
) -> "Collection":
    from bench.video.official import KNOWN, official
    from bench.video.sources import find_videos

    if folder is None and splits is None and (videos not in KNOWN or Path(videos).exists()):
        if split != 1:
            raise InputError(f"--split {split}: is for {', '.join(KNOWN)}; leave it out, or list splits in a CSV")
        return find_videos(named_path(videos), test_share)
    if videos not in KNOWN:
        raise InputError(
            f"{videos}: --videos and --splits are for {', '.join(KNOWN)}; leave them out, or name one of these"
        )
    if folder is None or splits is None:
        raise InputError(f"{videos}: say where it lies, with --videos DIR and --splits DIR, as downloaded")
    if test_share is not None:
        raise InputError(f"--test-share {test_share:g}: {videos} has official splits; leave the option out")
    return official(videos, folder, splits, split)
