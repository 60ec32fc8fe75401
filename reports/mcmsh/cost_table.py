"""The paper's Table 3: what encoding costs BTH and MCMSH."""

import math
import re

import pandas as pd

from bench.base.text import one_line
from bench.report import costs, times
from bench.report.cost_frames import at_least, measurements
from bench.report.published import PAPER, PAPER_DATASET, PublishedCost, paper_costs
from bench.report.quality import select
from bench.report.recipe import Results
from bench.report.runs import ReportRun
from bench.report.tables import NOTHING, Cell, Row, Table, percent, significant_decimals

from ..beside import missing, published_label, seeds_phrase, signed

BITS = 64
DECIMALS = 2
"""The paper gives millions of parameters and billions of FLOPs with two decimals."""
UNITS = {"M": 1e6, "G": 1e9}


def cost_table(results: Results, comparable: bool) -> Table:
    """Parameters, multiply-adds and encoding time, measured beside published. One row for every machine."""
    frame = measured_costs(results)
    several_machines = frame["machine"].nunique() > 1
    published = paper_costs()
    rows: list[list[Cell]] = []
    for row in results.need.rows:
        found = frame[frame["label"] == row.label]
        for values in found.to_dict("records"):
            cells = [
                _unit(values["parameters_trained"], "M"),
                _unit(values["parameters_encode"], "M"),
                costs.bounded(values, _unit(values["flops"], "G")),
                costs.timing(values, "single"),
                costs.timing(values, "batched"),
            ]
            machine = [values["machine"]] * several_machines
            rows.append([Cell(text) for text in (row.label, "measured", *cells, *machine)])
        if found.empty:
            note = missing(results, row.label, BITS)
            rows.append([Cell(row.label), Cell(f"measured: {note}"), *[Cell(NOTHING)] * (5 + several_machines)])
        said = published[row.label]
        texts = [_said(said.parameters), NOTHING, _said(said.flops), said.encode_ms or NOTHING, NOTHING]
        machine = [said.platform] * several_machines
        rows.append([Cell(text) for text in ("", published_label(PAPER_DATASET, comparable), *texts, *machine)])
        if comparable and not found.empty:
            rows.append([Cell(text) for text in ("", "difference", *_differences(found.iloc[0].to_dict(), said))])
            rows[-1] += [Cell("")] * several_machines
    header = ["method", "numbers", "parameters, trained", "parameters, to encode", "FLOPs (multiply-adds)"]
    header += ["ms/video, batch 1", "ms/video, best batch"]
    on = f" of {one_line(results.all[0].dataset_title)}" if results.all else ""
    return Table(
        name="table3",
        caption=f"Cost of encoding one video{on} at {BITS} bits (Table 3 of the paper).",
        header=[*header, *["machine"] * several_machines],
        rows=rows,
        frame=_with_published(frame, published, comparable),
        words=frozenset({"numbers", "machine"}),
        notes=(_note(results, frame, comparable), *_footnotes(results)),
    )


def measured_costs(results: Results) -> pd.DataFrame:
    """Mean costs over seeds by row label and machine; times of different machines stay apart."""
    parts = []
    for row in results.need.rows:
        part = costs.aggregate(results.done(row.label, BITS))
        parts.append(part.assign(label=row.label))
    return pd.concat(parts, ignore_index=True)


def _note(results: Results, frame: pd.DataFrame, comparable: bool) -> str:
    texts = []
    if results.all:
        data = results.all[0].record.dataset
        texts.append(
            f"Measured on {one_line(results.all[0].dataset_title)} ({data.frames} frames × {data.dimensions:,} "
            f"dimensions), {seeds_phrase(results)}; times are medians over repeats with quartiles in parentheses."
        )
    if frame["machine"].nunique() == 1:
        texts.append(f"Machine: {frame['machine'].iloc[0]}.")
    texts.append(
        f"Published: {PAPER}, Table 3, {PAPER_DATASET} (25 frames × 4,096 dimensions); its platform and batch are not "
        "stated, so times have no difference, and BTH's parameters are not legible in our copy."
    )
    if not comparable:
        texts.append(
            "Measured on another dataset: parameters and FLOPs depend on its dimensions, so the published numbers are "
            "for reference only."
        )
    return " ".join(texts)


def _footnotes(results: Results) -> list[str]:
    """Of every method all that the columns leave out; then the machine's rates and what the shares of them mean."""
    runs = [run for row in results.need.rows for run in results.done(row.label, BITS)]
    measured = list(measurements(runs))
    if not measured:
        return []
    timed = times.aggregate(runs)
    best = times.best_batches(timed)
    notes = []
    for run in {run.method: run for run, _ in reversed(measured)}.values():
        here = [select(frame, method=run.method) for frame in (select(timed, batch=1), best)]
        notes.append(f"{_counts(run)} {_settings(*here)}")
    rates = [
        f"{row['setting']}: {row['float32'] / 1e9:.3g}·10⁹ float32 and {row['bfloat16'] / 1e9:.3g}·10⁹ bfloat16 "
        f"multiply-adds/s, {row['copy_bytes'] / 1e9:.3g} GB/s copied"
        for _, row in times.machine_table(runs).frame.iterrows()
    ]
    return [*sorted(notes), f"Machine: {'; '.join(rates)}. {costs.SHARE} Only shares compare across machines."]


def _counts(run: ReportRun) -> str:
    found = run.record.costs
    assert found is not None
    other = sum(found.other_operations.values())
    calls = ", ".join(f"{name} ×{count}" for name, count in sorted(found.uncounted_operators.items())) or "none"
    peaks = " and ".join(f"{size / 1e6:.3g} MB at batch {batch}" for batch, size in sorted(found.peak_bytes.items()))
    return (
        f"{one_line(run.method)}: {found.parameters_instantiated:,} parameters instantiated, "
        f"{found.parameters_trained:,} used in training, {found.parameters_encode:,} needed to encode; "
        f"{'at least ' * at_least(found)}{found.flops:,} multiply-adds as fvcore counts them, besides {other:,} other "
        f"operations (operators that it leaves out: {calls}); code {found.code_bytes} bytes, model "
        f"{found.encoder_bytes / 1e6:.3g} MB on disk, peak memory {peaks}."
    )


def _settings(single: pd.DataFrame, best: pd.DataFrame) -> str:
    """Median, confidence interval and share of the rate in every setting."""
    texts = []
    for first, fastest in zip(single.to_dict("records"), best.to_dict("records"), strict=True):
        copy = ", with copy" if first["with_transfer"] else ""
        texts.append(
            f"{first['setting']}{copy}: {times.interval(first)} ms at batch 1, {times.interval(fastest)} ms at batch "
            f"{fastest['batch']} ({percent(fastest['share'])} of the rate)"
        )
    return f"Median [95 % confidence interval] a video: {'; '.join(texts)}."


def _unit(value: float, unit: str) -> str:
    scaled = value / UNITS[unit]
    return f"{scaled:.{max(DECIMALS, significant_decimals(scaled))}f} {unit}"


def _said(text: str) -> str:
    """`1.76M` as `1.76 M`."""
    return f"{text[:-1]} {text[-1]}" if text else NOTHING


def _differences(measured: Row, said: PublishedCost) -> list[str]:
    """At the paper's precision; none for times, whose platform the paper does not state."""
    parameters = _difference(measured["parameters_trained"], said.parameters)
    flops = costs.bounded(measured, _difference(measured["flops"], said.flops))
    return [parameters, NOTHING, flops, NOTHING, NOTHING]


def _difference(measured: float, said: str) -> str:
    if not said:
        return NOTHING
    unit = said[-1]
    return f"{signed((measured - parse(said)) / UNITS[unit], DECIMALS)} {unit}"


def parse(text: str) -> float:
    """`1.76M` as 1,760,000; NaN for an empty text."""
    found = re.fullmatch(r"([\d.]+)([MG])", text)
    return float(found[1]) * UNITS[found[2]] if found else math.nan


def _with_published(frame: pd.DataFrame, published: dict[str, PublishedCost], comparable: bool) -> pd.DataFrame:
    joined = frame.drop(columns="method")
    joined.insert(0, "label", joined.pop("label"))
    joined["published_parameters"] = joined["label"].map(lambda label: parse(published[label].parameters))
    joined["published_flops"] = joined["label"].map(lambda label: parse(published[label].flops))
    joined["published_ms"] = joined["label"].map(lambda label: published[label].encode_ms)
    joined["published_dataset"] = PAPER_DATASET
    if comparable:
        joined["difference_parameters"] = joined["parameters_trained"] - joined["published_parameters"]
        joined["difference_flops"] = joined["flops"] - joined["published_flops"]
    return joined
