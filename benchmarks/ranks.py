"""One process against several of the same run: speed, losses, communicated bytes.

    python benchmarks/ranks.py --out results/ranks
    python benchmarks/ranks.py --parts speed --optimizers muon    # three minutes: the default alone

Every process has one thread. The batches are the same whatever the number of processes is: one
process uses as many shards as there are processes in the other case.

speed   images a second of the joint loop, one process and several in turn, median of the rounds;
        for several sizes of the batch, as the update of the decoder takes the same time however
        few examples a process has. Beside them what the machine lets several processes do at once
        that share nothing, each with its part of the batch: no training together can be faster.
        The targets are of two processes, where two that share nothing reach 1.85
losses  the error of each epoch, with a decoder that has batch norm (dcgan, on images, whose
        statistics are each process's own) and with one that has none (mlp, on the same images as
        vectors)
bytes   what the decoder's gradients weigh, counted where they are handed over, for several N and D;
        and what the system counts on the loopback device meanwhile

It needs a machine with as many idle cores as processes; a busy one makes several look slow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.distributed import GradBucket
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from glo.config.settings import Settings
from glo.data import Dataset, SourceOptions, open_source
from glo.latents.init import fit_pca
from glo.training.loop import train
from glo.training.state import init_train_state
from glo.training.statistics import EpochRecord, StepRecord
from glo.utils.distributed import ProcessGroup
from glo.utils.malloc import tune_malloc

WARM = 5
SPEEDS = (
    (128, "muon", "auto"),
    (512, "muon", "auto"),
    (512, "adam", "auto"),
    (512, "adam", "float32"),
)
TARGETS = {(128, "muon"): 1.7, (512, "muon"): 1.85}
LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")


def main() -> None:
    """Run the worker in one and in several processes, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40, help="of 128 examples; fewer of more")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=["speed", "losses", "bytes"])
    parser.add_argument("--optimizers", nargs="+", default=["muon", "adam"], help="of the speeds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", help="what a process is asked to do; of the program itself")
    choice = parser.parse_args()
    if choice.work:
        work(json.loads(choice.work))
        return
    several = choice.processes
    found: dict[str, Any] = {"processes": several}
    found["speed"] = _speeds(several, choice) if "speed" in choice.parts else []
    decoders = ("mlp", "dcgan") if "losses" in choice.parts else ()
    found["losses"] = [_losses(several, decoder, choice) for decoder in decoders]
    found["bytes"] = [
        _ask(several, [{"decoder": "dcgan", "n": n, "dim": dim, "steps": 10, "shards": several}])[0]
        for n, dim in ((2000, 32), (choice.n, 32), (choice.n, 64))
        if "bytes" in choice.parts
    ]
    text = _table(found)
    print(text)
    if choice.out:
        choice.out.mkdir(parents=True, exist_ok=True)
        (choice.out / "ranks.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        (choice.out / "ranks.md").write_text(text, "utf-8")


def _speeds(several: int, choice: argparse.Namespace) -> list[dict[str, Any]]:
    cases = [case for case in SPEEDS if case[1] in choice.optimizers]
    together = [_about(choice, *case) | {"shards": several} for case in cases]
    apart = [each | {"shards": 1, "batch": each["batch"] // several} for each in together]
    rounds: dict[str, list[list[float]]] = {"one": [], "several": [], "apart": []}
    for _ in range(choice.rounds):
        rounds["one"].append([each["rate"] for each in _ask(1, together)])
        rounds["several"].append([each["rate"] for each in _ask(several, together)])
        rounds["apart"].append(_ask_apart(several, apart))
    rows = []
    for index, (batch, optimizer, precision) in enumerate(cases):
        rates = {name: [each[index] for each in every] for name, every in rounds.items()}
        found = {name: statistics.median(each) for name, each in rates.items()}
        rows.append(
            {
                "batch": batch,
                "optimizer": optimizer,
                "precision": precision,
                "rates": rates,
                **found,
                "ratio": found["several"] / found["one"],
                "ceiling": found["apart"] / found["one"],
            }
        )
    return rows


def _about(
    choice: argparse.Namespace, batch: int, optimizer: str, precision: str
) -> dict[str, Any]:
    steps = max(8, choice.steps * 128 // batch)
    about = {"decoder": "dcgan", "n": choice.n, "dim": 32, "batch": batch, "steps": steps}
    return about | {"optimizer": optimizer, "precision": precision}


def _ask_apart(several: int, jobs: list[dict[str, Any]]) -> list[float]:
    """Return the images per second of simultaneous independent processes, for each job."""
    with ThreadPoolExecutor(several) as pool:
        answers = list(pool.map(_ask, [1] * several, [jobs] * several))
    return [sum(each["rate"] for each in job) for job in zip(*answers, strict=True)]


def _losses(several: int, decoder: str, choice: argparse.Namespace) -> dict[str, Any]:
    about = {"decoder": decoder, "n": 2000, "dim": 32, "epochs": choice.epochs, "shards": several}
    one, more = (_ask(processes, [about])[0]["mse"] for processes in (1, several))
    off = max(abs(a - b) / a for a, b in zip(one, more, strict=True))
    return {"decoder": decoder, "one": one, "several": more, "largest_relative_difference": off}


def _ask(processes: int, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the measurements of jobs, made one after the other by the same processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), __file__, "--work", json.dumps(jobs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def work(jobs: list[dict[str, Any]]) -> None:
    """Train briefly as one of the processes; the first one prints its measurements as JSON."""
    torch.set_num_threads(1)
    tune_malloc()
    ranks = ProcessGroup.join()
    answers = [_measure(about, ranks) for about in jobs]
    if ranks.is_main:
        print(json.dumps(answers), flush=True)
    ranks.shutdown()


def _measure(about: dict[str, Any], ranks: ProcessGroup) -> dict[str, Any]:
    samples = _samples(about)
    settings = Settings(
        code_dim=about["dim"],
        shards=about["shards"],
        epochs=about.get("epochs", 1000),
        decoder=about["decoder"],
        batch_size=about.get("batch", 128),
        decoder_optimizer=about.get("optimizer", "muon"),
        precision=about.get("precision", "auto" if about["decoder"] == "dcgan" else "float32"),
        device="cpu",
    )
    n = len(samples)
    own = samples.subset(ranks.row_range(n))
    pca = fit_pca(own, settings.code_dim, ranks=ranks)
    training = init_train_state(own, settings, pca, n=n, ranks=ranks)
    counted = [0]
    if isinstance(training.network, DistributedDataParallel):
        training.network.register_comm_hook(counted, _count)
    results: dict[str, Any] = {"mse": [], "n": n, "dim": about["dim"]}
    begun, wire, steps = 0.0, 0, about.get("steps", 10**9)
    for record in train(training, own):
        if isinstance(record, EpochRecord):
            results["mse"].append(record.mse)
        if isinstance(record, StepRecord) and record.step == WARM:
            begun, wire, counted[0] = time.perf_counter(), _sent(), 0
        if training.step >= WARM + steps:
            break
    done = training.step - WARM
    results["rate"] = done * settings.batch_size / (time.perf_counter() - begun)
    results["bytes_per_step"] = counted[0] / done
    results["wire_per_step"] = (_sent() - wire) / done
    results["gradient_bytes"] = sum(4 * p.numel() for p in training.decoder.parameters())
    return results


def _samples(about: dict[str, Any]) -> Dataset:
    samples = open_source("mnist", SourceOptions(limit=about["n"]))
    if about["decoder"] == "dcgan":
        return samples
    flat = samples.batch(torch.arange(len(samples))).flatten(1).numpy()
    return Dataset(rows=flat, name="flat").standardized()


def _count(counted: list[int], bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
    buffer = bucket.buffer()
    counted[0] += buffer.numel() * buffer.element_size()
    return allreduce_hook(None, bucket)


def _sent() -> int:
    return int(LOOPBACK.read_text()) if LOOPBACK.is_file() else 0


def _target(several: int, row: dict[str, Any]) -> str:
    target = TARGETS.get((row["batch"], row["optimizer"]))
    if target is None or several != 2:
        return ""
    return f"{target}: {'met' if row['ratio'] >= target else 'missed'}"


def _table(found: dict[str, Any]) -> str:
    several = found["processes"]
    lines = [
        f"| B | optimiser | precision | images/s, 1 process | {several} processes | ratio | "
        f"{several} that share nothing | ratio | target |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found["speed"]:
        lines.append(
            f"| {row['batch']} | {row['optimizer']} | {row['precision']} | {row['one']:,.0f} | "
            f"{row['several']:,.0f} | {row['ratio']:.2f} | {row['apart']:,.0f} | "
            f"{row['ceiling']:.2f} | {_target(several, row)} |"
        )
    lines += [
        "",
        "| decoder | epoch errors, 1 process | the same, several | largest relative difference |",
        "| --- | --- | --- | --- |",
    ]
    for row in found["losses"]:
        one, more = (", ".join(f"{v:.6f}" for v in row[name]) for name in ("one", "several"))
        lines.append(
            f"| {row['decoder']} | {one} | {more} | {row['largest_relative_difference']:.1e} |"
        )
    lines += [
        "",
        "| N | D | bytes of the decoder's gradients | bytes handed over per step | loopback |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in found["bytes"]:
        lines.append(
            f"| {row['n']:,} | {row['dim']} | {row['gradient_bytes']:,} | "
            f"{row['bytes_per_step']:,.0f} | {row['wire_per_step']:,.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
