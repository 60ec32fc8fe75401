"""What operating systems, file managers and file servers leave in anybody's folders."""

import re

LITTER = re.compile(
    r"\.DS_Store|\._.*|\.AppleDouble|\.localized|Icon\r|\.Spotlight-V100|\.Trash.*|\.fseventsd"  # macOS
    r"|Thumbs\.db|ehthumbs.*\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"  # Windows
    r"|\.directory|\.hidden|lost\+found|\.nfs.*|\.fuse_hidden.*|\.~lock\..*"  # Linux
    r"|@eaDir|#recycle|#snapshot|\.snapshots?|\.stfolder|\.sync",  # file servers
    re.IGNORECASE,
)


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is nobody's work: it counts as nothing, and is left where it is."""
    return LITTER.fullmatch(name) is not None
