"""Eden beside other loaders: the same bases, in random order, one process and one core each, in turn.

    python benchmarks/loaders.py [--workloads metagenome,long] [--rounds 5] [--small]

Workloads, prepared files and the environments of the other loaders are kept in the scratch folder.
"""

import argparse
from statistics import median

import charts
from page import Section, Target, run, say, spread, table
from peers import forms, workloads
from peers.rounds import FLOOR, Contender, Measured, measured_side_by_side

ARROW, SQLITE, SEED = "Eden, arrow-shards", "Eden, sqlite-shards", "Eden, shards of the seed's format"
PLAIN, GPT = "plain loader of the seed's format", "Megatron GPTDataset"
OTHERS = (
    Contender(GPT, "gpt_dataset", "megatron"),
    Contender("Megatron IndexedDataset, bytes only", "indexed_dataset", "megatron"),
    Contender("MosaicML Streaming", "streaming", "mds", "streaming"),
    Contender("LitData", "litdata", "litdata", "litdata"),
)
NOTES = f"""What each gives for a row, and how it was run:

- **Eden**: `EdenLoader` without workers, shuffled; the four tensors. Its ratio to others is that of its fastest store here.
- **{PLAIN}**: what the format's description says: all shards opened at the start, a query and a SUBSTR a row, a list of characters, tensors per item, default collate.
- **{GPT}**: its own samples in its own shuffled order, default collate; the four tensors. Rows are cut across contigs, so they are always full.
- **Megatron IndexedDataset**: the bytes of the window, copied into a uint8 batch; no labels, no mask, no positions. What is left to do costs at least the memory floor.
- **MosaicML Streaming**: a record a window in local MDS files, read by number; padded, then the four tensors made of the whole batch at once.
- **LitData**: `TokensLoader` on local files, iterated with `shuffle=True`, which goes from file to file; full blocks cut across contigs, then the four tensors of the whole batch at once.
- **{FLOOR}**: copying the bases of the same windows, widening them twice, writing mask and positions, into memory that was touched before.

No loader runs inside a torch `DataLoader`, which would add to the others. "Useful" are the tokens of a row that are bases."""


def contenders(name: str) -> tuple[list[Contender], list[str]]:
    """The loaders of a workload, and what is to be said of those that are left out."""
    many = name == "windows"
    found, notes = [], []
    for title, store in ((ARROW, "arrow-shards"), (SQLITE, "sqlite-shards"), (SEED, forms.SEED_FORMAT)):
        index = "arrow" if many or store == "arrow-shards" else "sqlite"
        problem = forms.missing(store, index)
        if problem:
            notes.append(f"{title}: left out, {problem}.")
        elif many and store == forms.SEED_FORMAT:
            notes.append(
                f"{title} and {PLAIN}: left out; the format keeps a row for every window, some 17 GB and several minutes of "
                "writing for so many. Eden reads its own sqlite shards through the index of kind arrow here."
            )
        else:
            found.append(Contender(title, "eden", store, options=(store, index)))
    if not many:
        found.append(Contender(PLAIN, "plain", forms.SEED_FORMAT))
    for other in OTHERS:
        if many and other.module == "streaming":
            notes.append(f"{other.title}: left out; a record a window would be 1.9 TB.")
        else:
            found.append(other)
    if many:
        notes.append(
            f"{GPT} and LitData have no windows that overlap: they choose among the 0.2 million rows that these bases fill."
        )
    return found, notes


def measure(given: argparse.Namespace) -> Section:
    """Run all workloads, one after another."""
    texts, panels, targets, versions = [], [], [], set()
    for name in given.workloads.split(","):
        say(f"workload {name}")
        workload = workloads.generate(given.scratch, name, small=given.small)
        loaders, notes = contenders(name)
        found = measured_side_by_side(given.scratch, given.environments, workload, loaders, given.rounds, say)
        title = workloads.RECIPES[name].title
        texts.append(f"### {title[0].upper()}{title[1:]}\n\n{_table(found)}\n\n{_remarks(found, notes)}".rstrip())
        panels.append(charts.Panel(f"{title}, batch of 16", [_bar(one) for one in found if one.us]))
        targets += _targets(name, found)
        versions |= {f"{key} {value}" for one in found for key, value in one.facts.get("versions", {}).items()}
    text = f"""## Beside other loaders

Windows of 8192 bases in random order, from files in the page cache; one process and one core for each loader, all in turn, {given.rounds} rounds.

![Microseconds a row of each loader on each workload](images/loaders.svg)

{NOTES}

Versions: {", ".join(sorted(versions))}.

{chr(10).join(text + chr(10) for text in texts)}"""
    return Section("loaders", text.rstrip(), targets, {"loaders.svg": charts.bars(panels, "µs a row")})


def _table(found: list[Measured]) -> str:
    floor, eden = found[0].us, _fastest(found)
    lines = []
    for one in found:
        if not one.us:
            continue
        facts = one.facts
        lines.append(
            [
                one.title,
                *(spread(one.us[batch]) for batch in (16, 1)),
                spread(_ratios(one.us[16], floor[16])),
                spread(_ratios(one.us[16], eden.us[16])) if eden else "",
                f"{facts['useful']:,.0f}" if facts else "",
                f"{facts['rows']:,}" if facts else "",
                f"{facts['prepared']['seconds']:,.1f}" if facts else "",
                f"{facts['prepared']['bytes'] / 1e6:,.0f}" if facts else "",
            ]
        )
    head = "loader|µs a row, batches of 16|of 1|ratio to the floor|to Eden|useful|rows|prepared in s|MB"
    return table(head.split("|"), lines)


def _remarks(found: list[Measured], notes: list[str]) -> str:
    problems = [f"{one.title}: left out, {one.problem}." for one in found if one.problem]
    return "\n".join(f"- {note}" for note in (*notes, *problems))


def _bar(one: Measured) -> charts.Bar:
    return charts.Bar(one.title, one.us[16], ours=one.title.startswith("Eden"))


def _fastest(found: list[Measured]) -> Measured | None:
    ours = [one for one in found if one.title.startswith("Eden") and one.us]
    return min(ours, key=lambda one: median(one.us[16]), default=None)


def _ratios(times: list[float], others: list[float]) -> list[float]:
    return [time / other for time, other in zip(times, others, strict=True)]


def _targets(name: str, found: list[Measured]) -> list[Target]:
    by_title = {one.title: one.us for one in found}
    wanted = [(GPT, ARROW, 5, 'int64 batch, "arrow-shards" + "arrow", beside GPTDataset')]
    if name in {"metagenome", "chromosomes"}:
        least = 20 if name == "metagenome" else 40
        wanted.append(
            (PLAIN, SEED, least, 'int64 batch, "sqlite-shards" + "sqlite", the seed\'s shards, beside a plain loader')
        )
    targets = []
    for other, ours, least, what in wanted:
        for batch in (16, 1):
            slow, fast = by_title.get(other, {}).get(batch), by_title.get(ours, {}).get(batch)
            case = f"{name}, micro-batch {batch}, 0 workers"
            if slow and fast:
                times = _ratios(slow, fast)
                targets.append(Target(what, case, f">= {least} x as fast", spread(times), median(times) >= least))
            else:
                targets.append(Target(what, case, f">= {least} x as fast", "left out", None))
    return targets


if __name__ == "__main__":
    run(
        measure,
        workloads={"default": ",".join(workloads.RECIPES), "help": "names, with commas between"},
        rounds={"type": int, "default": 5},
    )
