"""The first page of a static leaderboard: datasets, methods, ranks over datasets, and the sets of results."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.base.text import slug
from bench.report import quality
from bench.report.document import Document
from bench.report.leaderboard_pages import COSTS, INDEX, TITLE, Links, dataset_page, method_page
from bench.report.over_datasets import add_summary
from bench.report.result_sets import Collection
from bench.report.runs import ReportRun, bits_of, datasets_of, headline_ks, protocols_of
from bench.report.styles import Style
from bench.report.tables import NOTHING, Cell, Column, Row, Table, number, text_column
from bench.store.tiers import TIERS

Groups = Mapping[str, Sequence[ReportRun]]
"""The runs on every dataset, or of every method."""


def pages(collection: Collection, styles: dict[str, Style]) -> dict[str, Document]:
    """All pages by file name. Their plots must be drawn within `figures.settings()`."""
    datasets, methods = datasets_of(collection.runs), _methods(collection.runs)
    links = Links({key: f"dataset-{key}.html" for key in datasets}, _method_links(methods))
    found = {INDEX: _index(collection, datasets, methods, links, styles)}
    found |= {links.datasets[key]: dataset_page(runs, collection, links, styles) for key, runs in datasets.items()}
    return found | {links.methods[name]: method_page(name, runs, collection, links) for name, runs in methods.items()}


def _methods(runs: Sequence[ReportRun]) -> dict[str, list[ReportRun]]:
    """The runs of every method by its name, which all its variants share; bounds are last."""
    groups: dict[str, list[ReportRun]] = {}
    for run in sorted(runs, key=lambda run: (run.row_order[0], run.record.spec.method)):
        groups.setdefault(run.record.spec.method, []).append(run)
    return groups


def _method_links(names: Iterable[str]) -> dict[str, str]:
    """The file of every method's page; methods of plug-ins may have names that differ in capitals alone."""
    seen: Counter[str] = Counter()
    links = {}
    for name in names:
        stem = f"method-{slug(name)}"
        seen[stem] += 1
        links[name] = f"{stem}.html" if seen[stem] == 1 else f"{stem}-{seen[stem]}.html"
    return links


def _index(
    collection: Collection, datasets: Groups, methods: Groups, links: Links, styles: dict[str, Style]
) -> Document:
    document = Document()
    document.add(
        f"# {TITLE}",
        "Unsupervised video hashing methods on the same terms. Every number can be computed again from the codes that "
        "are stored with it; each row says how much of this was done when the page was made.",
    )
    document.add_section("Datasets")
    document.add_table(_datasets_table(datasets, links))
    document.add_section("Methods")
    document.add_table(_methods_table(methods, collection, links))
    add_summary(document, collection.runs, styles)
    document.add_section("Evidence")
    document.add("\n".join(f"- **{tier}**: {meaning}." for tier, meaning in TIERS.items()), COSTS)
    document.add_section("Sets of results")
    document.add_table(_sets_table(collection))
    return document


def _datasets_table(datasets: Groups, links: Links) -> Table:
    lengths = sorted({bits for runs in datasets.values() for bits in bits_of(runs)})
    rows: list[Row] = []
    for key, runs in datasets.items():
        data = runs[0].record.dataset
        row: dict[object, object] = {
            "title": runs[0].dataset_title,
            "link": links.datasets[key],
            "queries": f"{data.query_videos:,}",
            "gallery": f"{data.gallery_videos:,}",
            "methods": len({run.record.spec.method for run in runs if not run.record.bound}),
            "runs": sum(run.done for run in runs),
        }
        rows.append(row | {f"best {bits}": _best(runs, bits) for bits in lengths})
    columns = [
        Column("dataset", lambda row: Cell(row["title"], link=row["link"])),
        *(text_column(name, name) for name in ("queries", "gallery", "methods", "runs")),
        *(text_column(f"best at {bits} bits", f"best {bits}", words=True) for bits in lengths),
    ]
    note = "Best: the highest mAP@20 (else mAP at the smallest k) under the first protocol. Bounds do not compete."
    return Table.of(columns, rows, name="datasets", caption="Datasets with results.", notes=[note])


def _best(runs: Sequence[ReportRun], bits: int) -> str:
    """`ITQ 0.512`, of the methods that compete; a dash where there is none."""
    scores = quality.aggregate([run for run in runs if run.bits == bits and not run.record.bound])
    if scores.empty:
        return NOTHING
    k, protocol = headline_ks([int(k) for k in scores["k"].unique()])[0], protocols_of(runs)[0]
    here = quality.select(scores, k=k, protocol=protocol)
    value, method = max(zip(here["map"], here["method"], strict=True))
    return f"{method} {number(value)}"


def _methods_table(methods: Groups, collection: Collection, links: Links) -> Table:
    rows: list[Row] = []
    for name, runs in methods.items():
        known = Counter(collection.of(run).shown for run in runs if run.done)
        rows.append({
            "method": runs[0].record.method_title,
            "link": links.methods[name],
            "datasets": len({run.dataset for run in runs}),
            "runs": sum(run.done for run in runs),
            "evidence": "; ".join(f"{count} {tiers}" for tiers, count in known.items()) or NOTHING,
            "paper": runs[0].record.paper or NOTHING,
        })  # fmt: skip
    columns = [
        Column("method", lambda row: Cell(row["method"], link=row["link"]), words=True),
        text_column("datasets", "datasets"),
        text_column("runs", "runs"),
        text_column("evidence", "evidence", words=True),
        text_column("paper", "paper", words=True),
    ]
    return Table.of(columns, rows, name="methods", caption="Methods with results.")


def _sets_table(collection: Collection) -> Table:
    rows: list[Row] = []
    for source in collection.sources:
        runs = [run for run in collection.runs if collection.of(run).source == source]
        machines = "; ".join(dict.fromkeys(run.machine for run in runs))
        rows.append({"set": source, "finished runs": sum(run.done for run in runs), "machines": machines})
    columns = [
        text_column("set", "set"),
        text_column("finished runs", "finished runs"),
        text_column("machines", "machines", words=True),
    ]
    return Table.of(columns, rows, name="result-sets", caption="Sets of results.")
