# How long the exact contrast of all pairs of samples takes.
#
#   OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 Rscript bench/all_pairs.R [n_samples 2500] [n_genes 20000] [runs 3]
#
# Two populations of n_samples samples each, 8 * 2 * n_samples * n_genes bytes in all (800 MB as it stands), as a model
# gives them: gamma distributed around a share of each gene, rounded to single precision. Prints seconds of each run, as
# the clock and as the processor count them (the second do not change when others use the machine), and the medians. The
# goal on one core of 2020 or later is 8 s.

suppressPackageStartupMessages(library(rscvi))

arguments <- as.integer(commandArgs(trailingOnly = TRUE))
given <- function(k, default) if (length(arguments) < k) default else arguments[k]
n_samples <- given(1L, 2500L)
n_genes <- given(2L, 20000L)
n_runs <- given(3L, 3L)

# Shares of the genes, and for each fifth gene a change of up to 2^3. Scales have a relative spread of 0.1 to 1.
set.seed(1)
share <- stats::rlnorm(n_genes, sdlog = 1.5)
share <- share / sum(share)
change <- ifelse(seq_len(n_genes) %% 5L == 0L, stats::runif(n_genes, -3, 3), 0)
shape <- 1 / stats::runif(n_genes, 0.1, 1)^2

to_single <- function(x) readBin(writeBin(x, raw(), size = 4L), "numeric", n = length(x), size = 4L)
draw <- function(mean) {
    scale <- matrix(0, n_samples, n_genes)
    for (g in seq_len(n_genes)) scale[, g] <- to_single(stats::rgamma(n_samples, shape[g], shape[g] / mean[g]))
    scale
}
scale1 <- draw(share * 2^change)
scale2 <- draw(share)

measure <- function(...) {
    times <- vapply(seq_len(n_runs), function(run) {
        gc(verbose = FALSE)
        seconds <- system.time(bayes_factors_from_scales(scale1, scale2, M_permutation = Inf, ...))
        c(clock = seconds[["elapsed"]], processor = seconds[["user.self"]] + seconds[["sys.self"]])
    }, numeric(2L))
    print(round(times, 2L))
    apply(times, 1L, stats::median)
}

cat(sprintf("2 x %d samples, %d genes\n", n_samples, n_genes))
for (mode in c("change", "vanilla")) {
    cat(mode, "\n")
    median <- measure(mode = mode)
    cat(sprintf("median: %.2f s by the clock, %.2f s of the processor\n", median[["clock"]], median[["processor"]]))
}
