#!/usr/bin/python3
"""The scVI variational autoencoder in plain PyTorch: what rscvi is measured against.

The model, the loss and the training loop are those of scvi 0.6.8's VAE and UnsupervisedTrainer, written with nothing
but nn.Module, autograd and torch.optim, as a careful user of PyTorch would: cells are rows of a scipy CSR matrix, made
dense one minibatch at a time. Parameter names equal those of 0.6.8's state dict, which rscvi keeps too. Needs torch
(1.13 or newer), numpy and scipy; Debian's python3-torch and python3-scipy will do.

Two uses:

1. Is this script right? Compare with numbers that scvi 0.6.8 computed (folders with config.json, state_dict.json,
   noise.json, expected.json, train3_state.json, counts.mtx, cells.csv); exits with 1 if anything is off:

       python3 vae_pytorch.py --self-check FOLDER [FOLDER ...]

2. Train on cells that R wrote (bench/parity.R does), and write held-out likelihoods before and after:

       python3 vae_pytorch.py --data DIR --results results.csv --seeds 1,2,3 --n-epochs 100

   DIR holds counts.mtx (MatrixMarket, genes x cells), batch.csv (column `batch`, 0-based), train.csv and test.csv
   (column `cell`, 0-based) and, if the runs shall start from given weights, weights/manifest.csv with the columns
   `name`, `file` and `shape` ("128 1267"), each file holding little-endian float32 in row-major order. Without
   weights/, each run draws PyTorch's default initialisation. A run differs from the next by its seed, which decides
   the order of cells, dropout and the draws of the latent variables.
"""

import argparse
import csv
import json
import math
import os
import sys
import time

# The number of threads must be known before the BLAS is loaded: torch.set_num_threads() does not reach every BLAS.
if "--threads" in sys.argv[:-1]:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = sys.argv[sys.argv.index("--threads") + 1]

import numpy as np
import scipy.io
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional as F

LIKELIHOOD_EPS = 1e-8
VARIANCE_EPS = 1e-4
MIN_CELLS_PER_STEP = 3


# -------------------------------------------------------------------------------------------------------------- model


class FullyConnected(nn.Module):
    """Linear, batch norm, ReLU, dropout, n_layers times; the one-hot batch is appended to the input of every layer."""

    def __init__(self, n_in, n_hidden, n_layers, dropout_rate, n_batch=0):
        super().__init__()
        self.n_batch = n_batch if n_batch > 1 else 0
        self.fc_layers = nn.Sequential()
        for i in range(n_layers):
            layer = nn.Sequential(
                nn.Linear((n_in if i == 0 else n_hidden) + self.n_batch, n_hidden),
                nn.BatchNorm1d(n_hidden, momentum=0.01, eps=0.001),
                nn.ReLU(),
            )
            if dropout_rate > 0:
                layer.append(nn.Dropout(dropout_rate))
            self.fc_layers.add_module("Layer %d" % i, layer)

    def forward(self, x, batch=None):
        extra = [] if self.n_batch == 0 else [F.one_hot(batch, self.n_batch).to(x.dtype)]
        for layer in self.fc_layers:
            x = layer(torch.cat([x] + extra, dim=1))
        return x


class Encoder(nn.Module):
    """Mean and variance of a diagonal Gaussian."""

    def __init__(self, n_in, n_out, n_hidden, n_layers, dropout_rate):
        super().__init__()
        self.encoder = FullyConnected(n_in, n_hidden, n_layers, dropout_rate)
        self.mean_encoder = nn.Linear(n_hidden, n_out)
        self.var_encoder = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        h = self.encoder(x)
        return self.mean_encoder(h), torch.exp(self.var_encoder(h)) + VARIANCE_EPS


class Decoder(nn.Module):
    """Share of each gene in the cell's expression, and logit of its dropout."""

    def __init__(self, n_latent, n_out, n_hidden, n_layers, n_batch):
        super().__init__()
        self.px_decoder = FullyConnected(n_latent, n_hidden, n_layers, dropout_rate=0, n_batch=n_batch)
        self.px_scale_decoder = nn.Sequential(nn.Linear(n_hidden, n_out), nn.Softmax(dim=-1))
        self.px_r_decoder = nn.Linear(n_hidden, n_out)  # never used here, but part of the state dict
        self.px_dropout_decoder = nn.Linear(n_hidden, n_out)

    def forward(self, z, batch, with_dropout):
        h = self.px_decoder(z, batch)
        return self.px_scale_decoder(h), self.px_dropout_decoder(h) if with_dropout else None


class VAE(nn.Module):
    def __init__(self, n_input, n_batch=0, n_hidden=128, n_latent=10, n_layers=1, dropout_rate=0.1,
                 dispersion="gene", reconstruction_loss="zinb", latent_distribution="normal"):
        super().__init__()
        self.dispersion = dispersion
        self.reconstruction_loss = reconstruction_loss
        self.latent_distribution = latent_distribution
        self.n_batch = n_batch
        self.n_latent = n_latent
        shape = {"gene": (n_input,), "gene-batch": (n_input, n_batch)}[dispersion]
        self.px_r = nn.Parameter(torch.randn(shape))
        self.z_encoder = Encoder(n_input, n_latent, n_hidden, n_layers, dropout_rate)
        self.l_encoder = Encoder(n_input, 1, n_hidden, 1, dropout_rate)
        self.decoder = Decoder(n_latent, n_input, n_hidden, n_layers, n_batch)

    def encode(self, x):
        x = torch.log1p(x)
        return self.z_encoder(x) + self.l_encoder(x)

    def dispersion_of(self, batch):
        if self.dispersion == "gene":
            return torch.exp(self.px_r)
        return torch.exp(self.px_r.t()[batch])

    def decode(self, z, library, batch):
        if self.latent_distribution == "ln":
            z = F.softmax(z, dim=-1)
        scale, dropout = self.decoder(z, batch, with_dropout=self.reconstruction_loss == "zinb")
        return {"z": z, "library": library, "px_scale": scale, "px_rate": torch.exp(library) * scale,
                "px_r": self.dispersion_of(batch), "px_dropout": dropout}

    def reconstruction(self, x, p):
        """-log p(x | z, l) of each cell."""
        if self.reconstruction_loss == "poisson":
            log_p = x * torch.log(p["px_rate"]) - p["px_rate"] - torch.lgamma(x + 1)
        elif self.reconstruction_loss == "nb":
            log_p = log_nb(x, p["px_rate"], p["px_r"])
        else:
            log_p = log_zinb(x, p["px_rate"], p["px_r"], p["px_dropout"])
        return -log_p.sum(dim=-1)

    def forward(self, x, local_mean, local_var, batch, noise=None):
        """Reconstruction error, KL of z and KL of the library size, each a vector over cells.

        noise: standard normal draws (z, library) to use in place of random ones.
        """
        qz_m, qz_v, ql_m, ql_v = self.encode(x)
        eps_z, eps_l = (torch.randn_like(qz_m), torch.randn_like(ql_m)) if noise is None else noise
        p = self.decode(qz_m + torch.sqrt(qz_v) * eps_z, ql_m + torch.sqrt(ql_v) * eps_l, batch)
        kl_z = 0.5 * (qz_v + qz_m ** 2 - 1 - torch.log(qz_v)).sum(dim=1)
        ratio = ql_v / local_var
        kl_l = 0.5 * (ratio + (ql_m - local_mean) ** 2 / local_var - 1 - torch.log(ratio)).sum(dim=1)
        return self.reconstruction(x, p), kl_z, kl_l

    def marginal_ll(self, x, local_mean, local_var, batch, n_draws, noise=None):
        """-log p(x) of each cell by importance sampling from q(z) q(l); a vector over cells."""
        if self.latent_distribution != "normal":
            raise NotImplementedError("the marginal likelihood needs a normal latent space")
        qz_m, qz_v, ql_m, ql_v = self.encode(x)
        log_weights = []
        for k in range(n_draws):
            eps_z, eps_l = ((torch.randn_like(qz_m), torch.randn_like(ql_m)) if noise is None
                            else (noise[0][k], noise[1][k]))
            z = qz_m + torch.sqrt(qz_v) * eps_z
            library = ql_m + torch.sqrt(ql_v) * eps_l
            log_weights.append(
                -self.reconstruction(x, self.decode(z, library, batch))
                + (log_normal(z, 0.0, torch.ones_like(z)) - log_normal(z, qz_m, qz_v)).sum(dim=1)
                + (log_normal(library, local_mean, local_var) - log_normal(library, ql_m, ql_v)).sum(dim=1)
            )
        return math.log(n_draws) - torch.logsumexp(torch.stack(log_weights), dim=0)


# -------------------------------------------------------------------------------------------------------- likelihoods


def log_normal(x, mean, variance):
    return -0.5 * (math.log(2 * math.pi) + torch.log(variance) + (x - mean) ** 2 / variance)


def log_nb(x, mu, theta):
    log_denominator = torch.log(theta + mu + LIKELIHOOD_EPS)
    return (theta * (torch.log(theta + LIKELIHOOD_EPS) - log_denominator)
            + x * (torch.log(mu + LIKELIHOOD_EPS) - log_denominator)
            + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1))


def log_zinb(x, mu, theta, dropout_logit):
    """log(pi + (1 - pi) NB(0)) where x is 0, log(1 - pi) + log NB(x) elsewhere; pi = sigmoid(dropout_logit)."""
    log_denominator = torch.log(theta + mu + LIKELIHOOD_EPS)
    a = theta * (torch.log(theta + LIKELIHOOD_EPS) - log_denominator) - dropout_logit
    log_observed = -F.softplus(-dropout_logit)  # log(1 - pi) + dropout_logit
    at_zero = F.softplus(a) + log_observed
    above_zero = (log_observed + a + x * (torch.log(mu + LIKELIHOOD_EPS) - log_denominator)
                  + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1))
    return torch.where(x < LIKELIHOOD_EPS, at_zero, above_zero)


# --------------------------------------------------------------------------------------------------------------- data


def library_prior(counts, batch):
    """Mean and (population) variance of the log library size of each cell's batch, over all cells of the data set."""
    log_library = np.log(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
    mean, var = np.empty_like(log_library), np.empty_like(log_library)
    for b in np.unique(batch):
        mean[batch == b], var[batch == b] = log_library[batch == b].mean(), log_library[batch == b].var()
    return mean.astype(np.float32)[:, None], var.astype(np.float32)[:, None]


class Cells:
    """Counts (CSR, cells x genes), batches and library prior, handed out as minibatches of dense tensors."""

    def __init__(self, counts, batch):
        self.counts = scipy.sparse.csr_matrix(counts, dtype=np.float32)
        self.batch = np.asarray(batch, dtype=np.int64)
        self.local_mean, self.local_var = library_prior(self.counts, self.batch)

    def minibatch(self, cells):
        return (torch.from_numpy(self.counts[cells].toarray()), torch.from_numpy(self.local_mean[cells]),
                torch.from_numpy(self.local_var[cells]), torch.from_numpy(self.batch[cells]))

    def minibatches(self, cells, batch_size, shuffle=False):
        if shuffle:
            cells = cells[torch.randperm(len(cells)).numpy()]
        for start in range(0, len(cells), batch_size):
            yield self.minibatch(cells[start:start + batch_size])


def read_column(path, column, kind=int):
    with open(path, newline="") as file:
        return np.array([kind(row[column]) for row in csv.DictReader(file)])


def read_weights(folder):
    state = {}
    with open(os.path.join(folder, "manifest.csv"), newline="") as file:
        for row in csv.DictReader(file):
            values = np.fromfile(os.path.join(folder, row["file"]), dtype="<f4")
            shape = [int(n) for n in row["shape"].split()]
            state[row["name"]] = torch.from_numpy(values.reshape(shape).copy())
    return state


# -------------------------------------------------------------------------------------------- training and evaluation


def adam(model, lr=1e-3):
    return torch.optim.Adam(model.parameters(), lr=lr, eps=0.01, weight_decay=1e-6)


def step(model, optimizer, minibatch, kl_weight, noise=None):
    # The KL of the library size is never annealed.
    reconstruction, kl_z, kl_l = model(*minibatch, noise=noise)
    loss = (reconstruction + kl_l + kl_weight * kl_z).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(model, cells, train_cells, n_epochs, lr, batch_size, kl_warmup_epochs):
    """Mean loss a cell of each epoch, as the steps saw it: with dropout and the minibatch's own mean and variance."""
    model.train()
    optimizer = adam(model, lr)
    losses = []
    for epoch in range(n_epochs):
        kl_weight = 1.0 if kl_warmup_epochs is None else min(1.0, epoch / max(1, kl_warmup_epochs))
        loss_sum = n_cells = 0
        for minibatch in cells.minibatches(train_cells, batch_size, shuffle=True):
            n = len(minibatch[0])
            if n >= MIN_CELLS_PER_STEP:
                loss_sum += n * step(model, optimizer, minibatch, kl_weight)
                n_cells += n
        losses.append(loss_sum / n_cells)
    model.eval()
    return losses


@torch.no_grad()
def evaluate(model, cells, test_cells, n_draws, batch_size=128):
    """Means over cells, smaller is better, in nats: negative ELBO, reconstruction error, -log p(x)."""
    model.eval()
    sums = np.zeros(3)
    for minibatch in cells.minibatches(test_cells, batch_size):
        reconstruction, kl_z, kl_l = model(*minibatch)
        log_p = model.marginal_ll(*minibatch, n_draws=n_draws)
        sums += [(reconstruction + kl_z + kl_l).double().sum().item(), reconstruction.double().sum().item(),
                 log_p.double().sum().item()]
    elbo, reconstruction_error, marginal_ll = sums / len(test_cells)
    return {"elbo": elbo, "reconstruction_error": reconstruction_error, "marginal_ll": marginal_ll}


def run(options):
    counts = scipy.io.mmread(os.path.join(options.data, "counts.mtx")).T
    cells = Cells(counts, read_column(os.path.join(options.data, "batch.csv"), "batch"))
    train_cells = read_column(os.path.join(options.data, "train.csv"), "cell")
    test_cells = read_column(os.path.join(options.data, "test.csv"), "cell")
    n_batch = len(np.unique(cells.batch))
    weights = os.path.join(options.data, "weights")
    start = read_weights(weights) if os.path.isdir(weights) else None

    with open(options.results, "w", newline="") as file:
        results = csv.DictWriter(file, ["seed", "stage", "training_loss", "marginal_ll", "elbo", "reconstruction_error",
                                        "seconds"])
        results.writeheader()
        for seed in (int(s) for s in options.seeds.split(",")):
            torch.manual_seed(seed)
            model = VAE(counts.shape[1], n_batch=n_batch, n_hidden=options.n_hidden, n_latent=options.n_latent,
                        n_layers=options.n_layers, dropout_rate=options.dropout_rate, dispersion=options.dispersion,
                        reconstruction_loss=options.reconstruction_loss)
            if start is not None:
                model.load_state_dict(start)
            before = evaluate(model, cells, test_cells, options.n_mc_samples)
            begin = time.perf_counter()
            losses = train(model, cells, train_cells, options.n_epochs, options.lr, options.batch_size,
                           options.kl_warmup_epochs)
            seconds = time.perf_counter() - begin
            after = evaluate(model, cells, test_cells, options.n_mc_samples)
            results.writerow(dict(before, seed=seed, stage="before", training_loss="NA", seconds=0))
            last = losses[-math.ceil(options.n_epochs / 10):]
            results.writerow(dict(after, seed=seed, stage="after", training_loss=sum(last) / len(last),
                                  seconds=round(seconds, 3)))
            file.flush()
            print("seed %d: -log p(x) %.3f -> %.3f, %.1f s of training"
                  % (seed, before["marginal_ll"], after["marginal_ll"], seconds), flush=True)


# --------------------------------------------------------------------------------------------------------- self-check


def read_tensors(path):
    with open(path) as file:
        content = json.load(file)
    return {name: torch.tensor([float(v) for v in t["data"]], dtype=torch.float64).reshape(t["shape"])
            for name, t in content.items() if t["dtype"] != "string"}


def relative_error(got, expected):
    """Largest |a - b| / max(|b|, 0.01 median |b|): values within 1 % of the typical size have no digits to compare."""
    got, expected = got.detach().double(), expected.double()
    if got.shape != expected.shape:
        return math.inf
    size = expected.abs()
    nonzero = size[size > 0]
    floor = 0.01 * nonzero.median() if len(nonzero) else torch.tensor(0.0)
    difference = (got - expected).abs()
    return torch.where(difference == 0, torch.zeros_like(size), difference / torch.maximum(size, floor)).max().item()


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, name, got, expected, tolerance=1e-4):
        error = relative_error(torch.as_tensor(got), expected)
        verdict = "ok" if error <= tolerance else "FAILED (limit %g)" % tolerance
        self.failed += error > tolerance
        print("  %-42s %9.2e  %s" % (name, error, verdict))


def check_evaluation(check, model, cells, config, noise, expected):
    everything = cells.minibatch(np.arange(config["n_cells"]))
    first = cells.minibatch(np.arange(config["n_forward"]))
    for name, got in zip(("qz_m", "qz_v", "ql_m", "ql_v"), model.encode(everything[0])):
        check(name, got, expected[name])

    qz_m, qz_v, ql_m, ql_v = model.encode(first[0])
    for kind, (z, l) in {"inf_mean": (qz_m, ql_m), "inf_eps": (qz_m + torch.sqrt(qz_v) * noise["z"],
                                                               ql_m + torch.sqrt(ql_v) * noise["l"])}.items():
        p = model.decode(z, l, first[3])
        p["reconst_loss"] = model.reconstruction(first[0], p)
        for part, got in p.items():
            name = "%s.%s" % (kind, part)
            if got is not None and name in expected:
                check(name, got, expected[name])

    reconstruction, kl_z, kl_l = model(*first, noise=(noise["z"], noise["l"]))
    check("kl_z", kl_z, expected["kl_z"])
    check("kl_l", kl_l, expected["kl_l"])
    check("elbo_per_cell", reconstruction + kl_z + kl_l, expected["elbo_per_cell"])
    check("forward.reconst_plus_kl_l", reconstruction + kl_l, expected["forward.reconst_plus_kl_l"])
    zero = (torch.zeros(config["n_cells"], config["n_latent"]), torch.zeros(config["n_cells"], 1))
    reconstruction, kl_z, kl_l = model(*everything, noise=zero)
    check("posterior.elbo_zero_noise", (reconstruction + kl_z + kl_l).double().mean(),
          expected["posterior.elbo_zero_noise"])
    check("posterior.reconstruction_error_zero_noise", reconstruction.double().mean(),
          expected["posterior.reconstruction_error_zero_noise"])
    if "posterior.marginal_ll_K5_first" in expected:
        check("posterior.marginal_ll_K5_first",
              model.marginal_ll(*first, n_draws=5, noise=(noise["mll_z"], noise["mll_l"])).double().mean(),
              expected["posterior.marginal_ll_K5_first"])


def check_training(check, model, cells, config, noise, expected, trained):
    """Three optimiser steps on the same cells, KL weight 0.25; the model was built without dropout."""
    first = cells.minibatch(np.arange(config["n_forward"]))
    model.train()
    optimizer = adam(model)
    draws = [(noise["train.z.%d" % i], noise["train.l.%d" % i]) for i in range(3)]
    losses = [step(model, optimizer, first, 0.25, draw) for draw in draws]
    check("train.losses_kl0.25", losses, expected["train.losses_kl0.25"], 1e-4)
    state = model.state_dict()
    for name, value in trained.items():
        if not name.endswith("#summary"):
            check(name, state[name], value, 1e-3)


def self_check(folders):
    check = Checks()
    for folder in folders:
        print(folder)
        path = lambda name: os.path.join(folder, name)
        with open(path("config.json")) as file:
            config = json.load(file)
        noise = {name: value.float() for name, value in read_tensors(path("noise.json")).items()}
        expected, state = read_tensors(path("expected.json")), read_tensors(path("state_dict.json"))
        cells = Cells(scipy.io.mmread(path("counts.mtx")).T, read_column(path("cells.csv"), "batch"))
        for got, name in ((cells.local_mean, "local_mean"), (cells.local_var, "local_var")):
            check(name, got[:, 0], torch.from_numpy(read_column(path("cells.csv"), name, float)))

        # In eval mode dropout does nothing, and the reference's three steps were taken without it.
        model = VAE(config["n_genes"], n_batch=config["model_n_batch"], n_hidden=config["n_hidden"],
                    n_latent=config["n_latent"], n_layers=config["n_layers"], dropout_rate=0,
                    dispersion=config["dispersion"], reconstruction_loss=config["reconstruction_loss"],
                    latent_distribution=config["latent_distribution"])
        model.load_state_dict(state)
        model.eval()
        with torch.no_grad():
            check_evaluation(check, model, cells, config, noise, expected)
        check_training(check, model, cells, config, noise, expected, read_tensors(path("train3_state.json")))
    print("all as in scvi 0.6.8" if check.failed == 0 else "%d values differ" % check.failed)
    return 1 if check.failed else 0


# ------------------------------------------------------------------------------------------------------- command line


def parse_arguments():
    parser = argparse.ArgumentParser(description="scVI's VAE in plain PyTorch; see the top of this file.")
    parser.add_argument("--self-check", nargs="+", metavar="FOLDER", help="compare with scvi 0.6.8's numbers")
    parser.add_argument("--data", help="folder that R wrote")
    parser.add_argument("--results", default="results.csv")
    parser.add_argument("--seeds", default="1", help="one run for each, e.g. 1,2,3")
    parser.add_argument("--n-epochs", type=int, default=100)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--kl-warmup-epochs", type=int, default=None, help="default: none, the KL of z has weight 1")
    parser.add_argument("--n-mc-samples", type=int, default=100, help="draws per cell for -log p(x)")
    parser.add_argument("--n-latent", type=int, default=10)
    parser.add_argument("--n-hidden", type=int, default=128)
    parser.add_argument("--n-layers", type=int, default=1)
    parser.add_argument("--dropout-rate", type=float, default=0.1)
    parser.add_argument("--dispersion", choices=["gene", "gene-batch"], default="gene")
    parser.add_argument("--reconstruction-loss", choices=["zinb", "nb", "poisson"], default="zinb")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch and BLAS; default: theirs")
    options = parser.parse_args()
    if options.self_check is None and options.data is None:
        parser.error("either --self-check or --data is needed")
    return options


def main():
    options = parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.self_check is not None:
        return self_check(options.self_check)
    run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
