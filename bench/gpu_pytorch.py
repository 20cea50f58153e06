#!/usr/bin/python3
"""Training cells a second of plain PyTorch on a GPU: what `core_bench --device cuda` is held against.

    python3 bench/gpu_pytorch.py [--cells 20000] [--genes 2000] [--density 0.1] [--epochs 10] [--repetitions 3]
                                 [--device cuda]

The model, loss and optimiser are those of vae_pytorch.py, used as a careful user would who has the memory: all counts
lie dense on the GPU, a minibatch is one indexed copy of them, and no loss is read before an epoch is over. Counts are
made up as core_bench does. Untested on a GPU; --device cpu shows that it runs.
"""

import argparse
import statistics
import time

import torch

from vae_pytorch import MIN_CELLS_PER_STEP, VAE, adam

MINIBATCH = 128


def made_up_counts(n_cells, n_genes, density, device):
    generator = torch.Generator().manual_seed(1)
    counts = torch.zeros(n_cells, n_genes)
    for rows in counts.split(1024):
        on = torch.rand(rows.shape, generator=generator) < density
        extra = torch.empty(rows.shape).geometric_(0.5, generator=generator)  # 1, 2, ...
        rows.copy_(on * extra)
    counts[torch.arange(n_cells), torch.arange(n_cells) % n_genes] += 1  # no cell is empty
    return counts.to(device)


def epoch(model, optimizer, data, kl_weight):
    """One epoch in a new random order; the mean loss of its minibatches, a scalar on the device."""
    n_cells = len(data[0])
    order = torch.randperm(n_cells, device=data[0].device)
    losses = []
    for cells in order.split(MINIBATCH):
        if len(cells) < MIN_CELLS_PER_STEP:
            continue
        reconstruction, kl_z, kl_l = model(*(part[cells] for part in data))
        loss = (reconstruction + kl_l + kl_weight * kl_z).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("--cells", 20000), ("--genes", 2000), ("--epochs", 10), ("--repetitions", 3)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()

    device = torch.device(options.device)
    counts = made_up_counts(options.cells, options.genes, options.density, device)
    data = (counts, torch.full((options.cells, 1), 6.0, device=device),
            torch.full((options.cells, 1), 0.1, device=device),
            torch.zeros(options.cells, dtype=torch.int64, device=device))
    torch.manual_seed(1)
    model = VAE(options.genes, n_batch=1).to(device)
    model.train()
    optimizer = adam(model)

    epoch(model, optimizer, data, 0.0).item()  # warms up
    times = []
    for _ in range(options.repetitions):
        begin = time.perf_counter()
        for k in range(options.epochs):
            loss = epoch(model, optimizer, data, k / 400)
        loss = loss.item()  # waits for the device
        times.append((time.perf_counter() - begin) / options.epochs)
    seconds = statistics.median(times)
    where = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    print("PyTorch %s, %s: %d cells x %d genes, %.4f s an epoch, %.0f cells/s, loss %.2f" % (
        torch.__version__, where, options.cells, options.genes, seconds, options.cells / seconds, loss))


if __name__ == "__main__":
    main()
