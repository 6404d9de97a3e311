"""Train the digit network whose features measure samples, and write it into the package.

    python benchmarks/digit_network.py

It learns the labels of MNIST's 60,000 training digits at 32 x 32 in [-1, 1], each shifted by up to
two pixels. The test digits are looked at once, at the end, for the accuracy that the file states.
One thread of a busy two-core machine took 264 seconds. Any other labelled set of grey pictures with
up to ten classes and a test split makes a network of its own:

    python benchmarks/digit_network.py path/to/fashion-mnist --out fashion.safetensors
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from glo.data import Dataset, SourceOptions, open_source
from glo.features.digits import DIGITS_FILE, DigitNetwork
from glo.utils.safetensors_io import write_tensors

LR = 2e-3
DECAY = 0.02
BATCH = 128
SHIFT = 2


def main() -> None:
    """Train, fold, test and write the network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", default="mnist")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DIGITS_FILE)
    choice = parser.parse_args()
    torch.manual_seed(choice.seed)
    trained = open_source(choice.data, SourceOptions(size=32, channels=1, split="train"))
    unseen = open_source(choice.data, SourceOptions(size=32, channels=1, split="test"))

    began = time.perf_counter()
    network = train(trained, epochs=choice.epochs, seed=choice.seed)
    seconds = time.perf_counter() - began
    # What is tested is what is written: folded, and in half precision.
    folded = fold(network).half().float()
    accuracy = accuracy_on(folded, unseen)
    print(f"{seconds:.0f} s, {100 * accuracy:.2f} % of {len(unseen):,} test examples right")
    about = {
        "what": "network of glo.features.digits: labels of pictures at 32 x 32, pixels in [-1, 1], "
        "128 penultimate features",
        "trained_on": f"{len(trained):,} training examples of {trained.name}, shifted by up to "
        f"{SHIFT} pixels",
        "test_accuracy": f"{accuracy:.4f}",
        "command": f"python benchmarks/digit_network.py {choice.data} --epochs {choice.epochs} "
        f"--seed {choice.seed}",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
    }
    write_tensors(choice.out, {k: v.half() for k, v in folded.state_dict().items()}, about)
    # The library makes files that only their owner can read; this one is to be shipped.
    choice.out.chmod(0o644)
    print(json.dumps(about, indent=1))


def train(samples: Dataset, *, epochs: int, seed: int) -> nn.ModuleDict:
    """Train on the labels, and return the network and its batch norms."""
    assert samples.labels is not None, "the data have no labels"
    net = nn.ModuleDict(
        {
            "digits": DigitNetwork().to(memory_format=torch.channels_last),
            "norms": nn.ModuleList(nn.BatchNorm2d(n) for n in (32, 64, 128)),
        }
    )
    labels = torch.from_numpy(samples.labels.copy())
    draws = torch.Generator().manual_seed(seed)
    steps = epochs * (len(samples) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    for epoch in range(epochs):
        right = 0
        order = torch.randperm(len(samples), generator=draws)
        for rows in order[: len(samples) // BATCH * BATCH].split(BATCH):
            images = shifted(samples.batch(rows), draws)
            with torch.autocast("cpu", torch.bfloat16):
                scores = scores_of(net, images)
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores.float(), labels[rows]).backward()
            optimizer.step()
            schedule.step()
            right += int((scores.argmax(1) == labels[rows]).sum())
        print(f"epoch {epoch + 1}/{epochs}: {100 * right / len(order):.2f} % right", flush=True)
    return net


def scores_of(net: nn.ModuleDict, images: Tensor) -> Tensor:
    """Return the scores of the ten classes, (B, 10), with batch norm after each convolution."""
    digits, norms = net["digits"], net["norms"]
    x = norms[0](digits.conv1(images)).relu()
    for conv, norm in zip((digits.conv2, digits.conv3), norms[1:], strict=True):
        x = nn.functional.max_pool2d(norm(conv(x)), 2).relu()
    return digits.scores(nn.functional.relu(digits.linear(x.flatten(1))))


def shifted(images: Tensor, draws: torch.Generator) -> Tensor:
    """Shift each image by up to SHIFT pixels on black, (B, 1, H, W)."""
    n, _, height, width = images.shape
    padded = nn.functional.pad(images, [SHIFT] * 4, value=-1.0)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, n, 1), generator=draws)
    rows, columns = torch.arange(height) + down, torch.arange(width) + right
    moved = padded[torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
    return moved[:, None]


def fold(net: nn.ModuleDict) -> DigitNetwork:
    """Return the digit network with its batch norms folded into the convolutions."""
    net = net.eval()
    for name, norm in zip(("conv1", "conv2", "conv3"), net["norms"], strict=True):
        setattr(net["digits"], name, fuse_conv_bn_eval(getattr(net["digits"], name), norm))
    return net["digits"].to(memory_format=torch.contiguous_format)


@torch.no_grad()
def accuracy_on(network: DigitNetwork, samples: Dataset) -> float:
    """Return the classification accuracy."""
    labels = torch.from_numpy(samples.labels.copy())
    rows = torch.arange(len(samples)).split(1000)
    found = torch.cat([network(samples.batch(part)).argmax(1) for part in rows])
    return float((found == labels).double().mean())


if __name__ == "__main__":
    main()
