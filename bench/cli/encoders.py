"""`bench encode`, `bench profile` and `bench check-method`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.cli.options import DEFAULT_DATASET, DataRoot, Device, Plugins, names_of, numbers_of


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def profile(
    methods: Annotated[str, typer.Option(help="Methods, such as mcmsh,bth.")],
    bits: Annotated[str, typer.Option(help="Code lengths, such as 16,32,64.")] = "64",
    datasets: Annotated[str, typer.Option(help="Datasets that give frames and dimensions.")] = DEFAULT_DATASET,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.hidden=128.")] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Measure parameters, FLOPs, memory and encoding time, without training."""
    from bench.base.text import say
    from bench.encoding.fitting import choose_device
    from bench.registry import load_registry
    from bench.report.terminal import profile_text
    from bench.running.measure import profile_untrained
    from bench.running.plan import parse_settings, plan

    planned = plan(
        load_registry(plugin or [], data_root),
        methods=names_of(methods),
        datasets=names_of(datasets),
        bits=numbers_of("--bits", bits),
        seeds=[0],
        parameters=parse_settings(settings or []),
    )
    profiled = profile_untrained(planned, choose_device(device), say)
    print(profile_text(profiled))
    return 1 if any(run.record.status != "done" for run in profiled) else 0


def encode(
    encoder: Annotated[Path, typer.Option(help="Folder of a saved encoder.", parser=named_path, metavar="PATH")],
    features: Annotated[
        Path, typer.Option(help="Features (N, T, D): HDF5, .npy or .safetensors.", parser=named_path, metavar="PATH")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File for the codes, .npy; their description goes beside it.", parser=named_path, metavar="PATH"
        ),
    ],
    form: Annotated[
        str, typer.Option("--format", help="signs: (N, bits) int8 in -1, +1; packed: (N, bytes) uint8.")
    ] = "signs",
    bitorder: Annotated[
        str | None, typer.Option(help="Order of packed bits: little, as faiss packs (default), or big.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="auto (the faster of eager and onnx), eager, compiled or onnx.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bfloat16, which flips a few bits.")] = "float32",
    key: Annotated[
        str | None, typer.Option(help="The array in the file; default: feats, or the only suitable one.")
    ] = None,
    plugin: Plugins = None,
) -> int:
    """Encode features with a saved encoder; repeat the command to continue after an interruption."""
    from bench.base.progress import progress
    from bench.base.text import say
    from bench.encoding.code_file import choose_packing
    from bench.encoding.encode_file import encode_file
    from bench.registry import load_registry

    packed = choose_packing(form, bitorder)
    registry = load_registry(plugin or [])
    encoded = encode_file(encoder, features, out, registry, backend, precision, progress(), key, packed)
    if key is None and encoded.key != "feats":
        say(f"{features}: no array 'feats'; used '{encoded.key}', the only array that can be features")
    if encoded.resumed:
        say(f"{out}: continued after {encoded.resumed} videos that had been encoded before")
    if encoded.flipped is not None:
        say(f"{out}: {encoded.flipped:.2%} of the bits of the first videos differ from those in float32")
    say(f"{out}: codes {encoded.videos} × {encoded.bits}")
    return 0


def check_method(
    file: Annotated[Path, typer.Argument(help="Python file or folder with your own methods.")],
) -> int:
    """Check that your own methods keep the contract of methods, on a small synthetic dataset."""
    from bench.base.text import one_line
    from bench.registry import load_registry
    from bench.registry.plugin_files import line_of, plugin_of
    from bench.running.contract import CHECKS, ContractError, Subject, small_dataset

    methods = [method for method in load_registry([file]).methods.values() if plugin_of(method)]
    if not methods:
        raise InputError(f"{file}: defines no method; derive one from bench.method.Method")
    data, failed = small_dataset(), False
    for method in methods:
        subject = Subject(method, data)
        for check in CHECKS:
            try:
                check(subject)
            except ContractError as error:
                failed = True
                print(f"FAILS  {method.name} {check.__doc__}: {one_line(str(error))}")
            except Exception as error:  # a method may fail in any way; most later checks would meet the same error
                failed = True
                reason = one_line(f"{type(error).__name__}: {error}") + line_of(error, str(plugin_of(method)))
                print(f"FAILS  {method.name} {check.__doc__}: {reason}")
                if check is not CHECKS[-1]:
                    print(f"       {method.name}: the checks after this one were not tried; fix it and check again")
                break
            else:
                print(f"fine   {method.name} {check.__doc__}")
    return 1 if failed else 0
