"""The jobs of bench/run.R in plain PyTorch, scipy and scikit-learn; worker_pytorch.py does them when it is asked to.

What a job does is what scvi 0.6.8 does, as a careful user of PyTorch would write it: the model is that of
vae_pytorch.py, cells are rows of a CSR matrix that are made dense one minibatch at a time, whole minibatches go through
one inference (both encoders, both heads of the decoder, as `VAE.inference()` of 0.6.8), nothing is differentiated that
need not be (methods are called under torch.no_grad()), and loops are over minibatches, draws, batches and clusters
alone. Results are numpy arrays. Data sets are folders that simulate.R wrote.
"""

import os
from functools import cached_property

import numpy as np
import scipy.sparse
import scipy.stats
import torch
from sklearn.neighbors import NearestNeighbors

from vae_pytorch import VAE, Cells, train

MINIBATCH = 128
DENOISING_MINIBATCH = 64  # what generate_denoised_samples() of 0.6.8 takes by default
N_SAMPLES = 5000
LARGEST_RATE = 1e8
PROBABILITY_EPS = 1e-8


class Counts:
    """Counts with batches and labels, a model of them, and the jobs."""

    def __init__(self, folder, trained):
        read = lambda name, kind: np.fromfile(os.path.join(folder, name + ".bin"), dtype=kind)
        n_cells, self.n_genes = read("shape", "<i4")
        counts = scipy.sparse.csr_matrix((read("x", "<f4"), read("i", "<i4"), read("p", "<i4")),
                                         shape=(n_cells, self.n_genes))
        self.cells = Cells(counts, read("batch", "<i4"))
        self.labels = read("label", "<i4")
        self.n_batches = len(np.unique(self.cells.batch))
        self.everyone = np.arange(n_cells)
        self.model = VAE(self.n_genes, n_batch=self.n_batches)
        self.model.eval()
        if trained:
            self.epoch()

    def minibatches(self, cells=None, size=MINIBATCH):
        return self.cells.minibatches(self.everyone if cells is None else cells, size)

    def inference(self, minibatch, n_draws=1, as_batch=None):
        """Parameters of the counts, (draws * cells, genes), draws being the slower index."""
        x, _, _, batch = minibatch
        qz_m, qz_v, ql_m, ql_v = self.model.encode(x)
        z = qz_m + torch.sqrt(qz_v) * torch.randn(n_draws, *qz_m.shape)
        library = ql_m + torch.sqrt(ql_v) * torch.randn(n_draws, *ql_m.shape)
        if as_batch is not None:
            batch = torch.full_like(batch, as_batch)
        return self.model.decode(z.flatten(0, 1), library.flatten(0, 1), batch.repeat(n_draws))

    # Training, and the dense matrix products that it needs: two encoders' first layers (forward, gradient of the
    # weight) and two heads of the decoder (forward, gradients of the weight and of the input).

    def epoch(self):
        with torch.enable_grad():
            train(self.model, self.cells, self.everyone, 1, 1e-3, MINIBATCH, 400)

    def products(self, n_hidden=128):
        x, h = torch.ones(MINIBATCH, self.n_genes), torch.ones(MINIBATCH, n_hidden)
        encoder, head = torch.ones(n_hidden, self.n_genes), torch.ones(self.n_genes, n_hidden)
        for _ in range(0, len(self.everyone), MINIBATCH):
            for _ in range(2):
                torch.mm(x, encoder.t()), torch.mm(h.t(), x)
                torch.mm(h, head.t()), torch.mm(x.t(), h), torch.mm(x, head)

    # Likelihoods

    def elbo(self):
        return sum(sum(self.model(*m)).double().sum().item() for m in self.minibatches()) / len(self.everyone)

    def reconstruction_error(self):
        return sum(self.model.reconstruction(m[0], self.inference(m)).double().sum().item()
                   for m in self.minibatches()) / len(self.everyone)

    def marginal_ll(self, n_draws=100):
        cells = self.everyone[:1000]
        return sum(self.model.marginal_ll(*m, n_draws=n_draws).double().sum().item()
                   for m in self.minibatches(cells)) / len(cells)

    # Latent space and expression

    def get_latent(self):
        return np.concatenate([self.model.z_encoder(torch.log1p(m[0]))[0].numpy() for m in self.minibatches()])

    def get_sample_scale(self):
        return np.concatenate([self.inference(m)["px_scale"].numpy() for m in self.minibatches()])

    def imputation(self):
        return np.concatenate([self.inference(m)["px_rate"].numpy() for m in self.minibatches()])

    # Differential expression: cells are drawn anew for each batch that they are decoded as, and each draw is encoded

    def scale_samples(self, population):
        samples = []
        for batch in range(self.n_batches):
            drawn = np.random.choice(population, N_SAMPLES // self.n_batches)
            samples += [self.inference(m, as_batch=batch)["px_scale"].numpy() for m in self.minibatches(drawn)]
        return np.concatenate(samples)

    def bayes_factors(self, population1, population2):
        # Rows come batch by batch on both sides: the k-th ones are pairs within a batch.
        scale1, scale2 = self.scale_samples(population1), self.scale_samples(population2)
        proba_m1 = (scale1 > scale2).mean(axis=0)
        return {"proba_m1": proba_m1, "proba_m2": 1 - proba_m1,
                "bayes_factor": np.log(proba_m1 + PROBABILITY_EPS) - np.log(1 - proba_m1 + PROBABILITY_EPS),
                "scale1": scale1.mean(axis=0), "scale2": scale2.mean(axis=0)}

    def get_bayes_factors(self):
        return self.bayes_factors(np.flatnonzero(self.labels == 0), np.flatnonzero(self.labels == 1))

    @cached_property
    def normalized(self):
        """Counts relative to the mean count of the cell; 0.6.8 computes them once, too."""
        return scipy.sparse.diags(1 / np.asarray(self.cells.counts.mean(axis=1)).ravel()) @ self.cells.counts

    def raw_statistics(self, population):
        x = self.cells.counts[population]
        return [np.asarray(y.mean(axis=0)).ravel() for y in (x, x != 0, self.normalized[population])]

    def one_vs_all_degenes(self):
        tables = []
        for label in np.unique(self.labels):
            inside, outside = np.flatnonzero(self.labels == label), np.flatnonzero(self.labels != label)
            table = self.bayes_factors(inside, outside)
            names = ("raw_mean", "non_zeros_proportion", "raw_normalized_mean")
            for side, population in (("1", inside), ("2", outside)):
                table.update(zip((name + side for name in names), self.raw_statistics(population)))
            order = np.argsort(-table["bayes_factor"])
            tables.append({name: column[order] for name, column in table.items()})
        return tables

    # Made-up data; arrays are cells x genes x draws

    def draws_last(self, values, n_draws):
        return values.view(n_draws, -1, self.n_genes).permute(1, 2, 0).numpy()

    def generate(self, n_draws=10):
        new, old = [], []
        for m in self.minibatches():
            p = self.inference(m, n_draws)
            rate = torch.distributions.Gamma(p["px_r"], p["px_r"] / p["px_rate"]).sample().clamp(max=LARGEST_RATE)
            counts = torch.poisson(rate)
            counts[torch.rand_like(counts) <= torch.sigmoid(p["px_dropout"])] = 0
            new.append(self.draws_last(counts, n_draws))
            old.append(m[0].numpy())
        return np.concatenate(new), np.concatenate(old)

    def generate_denoised_samples(self, n_draws, size_factor=1000):
        denoised = []
        for m in self.minibatches(size=DENOISING_MINIBATCH):
            p = self.inference(m, n_draws)
            rate = torch.distributions.Gamma(p["px_r"], p["px_r"] / (size_factor * p["px_scale"])).sample()
            denoised.append(self.draws_last(rate, n_draws))
        return np.concatenate(denoised)

    def generate_feature_correlation_matrix(self, n_draws=10):
        denoised = self.generate_denoised_samples(n_draws)
        rows = denoised.transpose(2, 0, 1).reshape(-1, self.n_genes)
        return scipy.stats.spearmanr(rows, axis=0)[0]


class Latent:
    """Cells in a latent space, and scores of their neighbourhoods: those of all cells, as in 0.6.8."""

    def __init__(self, folder, trained):
        read = lambda name, kind: np.fromfile(os.path.join(folder, name + ".bin"), dtype=kind)
        self.batch, self.labels = read("batch", "<i4"), read("label", "<i4")
        self.latent = read("latent", "<f4").reshape(len(self.batch), -1)

    def neighbours(self, k):
        search = NearestNeighbors(n_neighbors=k + 1, n_jobs=1).fit(self.latent)
        return search.kneighbors(self.latent, return_distance=False)[:, 1:]  # the first is the cell itself

    def entropy_batch_mixing(self, k=50, n_pools=50, n_per_pool=100):
        share = self.batch[self.neighbours(k)].mean(axis=1)
        share = share[np.random.choice(len(share), n_pools * n_per_pool)]
        return scipy.stats.entropy(np.stack([share, 1 - share])).mean()

    def knn_purity(self, k=30):
        same = (self.labels[self.neighbours(k)] == self.labels[:, None]).mean(axis=1)
        return np.mean([same[self.labels == label].mean() for label in np.unique(self.labels)])
