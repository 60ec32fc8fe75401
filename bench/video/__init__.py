"""From video files to feature folders: decoding, frame sampling, backbones. Needs the extra `vhbench[video]`."""
