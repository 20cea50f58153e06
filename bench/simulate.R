# Made-up data sets for bench/run.R, on files that both sides read: counts (counts.rds for R; p, i and x of the same
# matrix as raw numbers for Python, where it is the CSR matrix of cells x genes), batches, labels; or points in a latent
# space. Sourced by run.R; or, so that the memory of the caller stays small:
#
#   Rscript bench/simulate.R FOLDER CELLS GENES DENSITY

n_labels <- 8L
n_batches <- 2L
latent_dimensions <- 10L

write_numbers <- function(x, folder, name, size = 4L) {
    file <- file(file.path(folder, paste0(name, ".bin")), "wb")
    on.exit(close(file))
    # In pieces: writeBin() makes a copy of all that it is given.
    for (first in seq(1, length(x), by = 2^22)) {
        writeBin(x[first:min(length(x), first + 2^22 - 1)], file, size = size, endian = "little")
    }
}

write_cells <- function(batch, label, folder) {
    write_numbers(batch, folder, "batch")
    write_numbers(label, folder, "label")
    cells <- data.frame(batch = factor(batch, seq_len(n_batches) - 1L), label = factor(label, seq_len(n_labels) - 1L))
    saveRDS(cells, file.path(folder, "cells.rds"), compress = FALSE)
}

# Each cell has `density` of the genes; their counts are 1 + Poisson around the gene's level in the cell's label times
# the cell's depth. Built sparse, cell by cell.
simulate_counts <- function(folder, n_cells, n_genes, density) {
    set.seed(1)
    dir.create(folder, recursive = TRUE)
    per_cell <- max(1L, as.integer(round(density * n_genes)))
    i <- integer(n_cells * per_cell)
    x <- numeric(n_cells * per_cell)
    batch <- sample.int(n_batches, n_cells, replace = TRUE) - 1L
    label <- sample.int(n_labels, n_cells, replace = TRUE) - 1L
    level <- stats::rgamma(n_genes, shape = 0.3, rate = 0.3) *
        matrix(stats::rlnorm(n_genes * n_labels, sdlog = 0.5), n_genes)
    depth <- stats::rlnorm(n_cells, sdlog = 0.4)
    for (cell in seq_len(n_cells)) {
        genes <- sort(sample.int(n_genes, per_cell))
        here <- (cell - 1) * per_cell + seq_len(per_cell)
        i[here] <- genes - 1L
        x[here] <- 1 + stats::rpois(per_cell, level[genes, label[cell] + 1L] * depth[cell])
    }
    p <- as.integer(seq(0, n_cells * per_cell, by = per_cell))
    write_numbers(c(n_cells, n_genes), folder, "shape")
    write_numbers(p, folder, "p")
    write_numbers(i, folder, "i")
    write_numbers(x, folder, "x")
    write_cells(batch, label, folder)
    counts <- methods::new(methods::getClass("dgCMatrix", where = asNamespace("Matrix")), i = i, p = p, x = x,
        Dim = c(n_genes, n_cells),
        Dimnames = list(paste0("gene", seq_len(n_genes)), paste0("cell", seq_len(n_cells))))
    saveRDS(counts, file.path(folder, "counts.rds"), compress = FALSE)
}

# Labels are round clouds, whose centres are twice as far spread as their cells; batches are shifted by half of that.
simulate_latent <- function(folder, n_cells) {
    set.seed(1)
    dir.create(folder, recursive = TRUE)
    batch <- sample.int(n_batches, n_cells, replace = TRUE) - 1L
    label <- sample.int(n_labels, n_cells, replace = TRUE) - 1L
    centres <- matrix(stats::rnorm(n_labels * latent_dimensions, sd = 2), n_labels)
    latent <- centres[label + 1L, ] + stats::rnorm(n_cells * latent_dimensions)
    latent[, 1L] <- latent[, 1L] + batch / 2
    write_numbers(as.vector(t(latent)), folder, "latent")
    write_cells(batch, label, folder)
    saveRDS(latent, file.path(folder, "latent.rds"), compress = FALSE)
}

if (sys.nframe() == 0L) {
    arguments <- commandArgs(trailingOnly = TRUE)
    simulate_counts(arguments[1L], as.integer(arguments[2L]), as.integer(arguments[3L]), as.numeric(arguments[4L]))
}
