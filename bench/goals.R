# The jobs of bench/run.R, and what is asked of each. Sourced by run.R.

allowance <- 100e6          # bytes above its result that a job may take
bytes_per_neighbour <- 40   # "memory of the order of cells x neighbours": this much each, and the allowance
million_allowance <- 1.5e9  # bytes above the counts that training on a million cells may take
million_per_cell <- 1.15    # and the time per cell, of that at options$cells

# A job: `name` in jobs.R; `asked` of jobs_pytorch.py; its data set. Goals (NA: measured, no goal): `faster`, PyTorch's
# time by rscvi's; `products`, rscvi's time by that of the dense matrix products; `below`, seconds; `memory`, bytes as a
# function of the result's bytes; `threads`, time on one thread by that on two.
benchmark_jobs <- function(options) {
    large <- counts_set(options$cells, options$genes, options$density)
    small <- counts_set(options$`small-cells`, options$`small-genes`, options$density)
    of_large <- sprintf("%s x %s", count(large$cells), count(large$genes))
    of_small <- sprintf("%s x %s", count(small$cells), count(small$genes))
    result_and_allowance <- function(bytes) bytes + allowance
    job <- function(name, title, set, size, faster, asked = name, threads = 1, ...) {
        list(name = name, asked = asked, title = paste0(title, ", ", size), set = set, faster = faster,
            threads = threads, ...)
    }
    jobs <- list(
        job("epoch", "training epoch", large, of_large, 5, products = 1.3,
            threads = if (large$genes >= 2000) 1.3 else 1),
        job("epoch", "training epoch", small, of_small, 4, products = NA),
        job("epoch_bfloat16", "training epoch in bfloat16", large, of_large, NA, asked = "epoch"),
        job("elbo", "elbo", large, of_large, 7),
        job("reconstruction_error", "reconstruction_error", large, of_large, 7),
        job("marginal_ll", "marginal_ll(100) of 1,000 cells", large, of_large, 8),
        job("marginal_ll", "marginal_ll(100) of 1,000 cells", small, of_small, NA),
        job("get_latent", "get_latent", large, of_large, 3),
        job("get_sample_scale", "get_sample_scale", large, of_large, 2.5, memory = result_and_allowance),
        job("imputation", "imputation", large, of_large, 2.5, memory = result_and_allowance),
        job("get_bayes_factors", "get_bayes_factors", large, of_large, 4),
        job("get_bayes_factors_exact", "get_bayes_factors, all pairs", large, of_large, NA, asked = "get_bayes_factors",
            below = 1.5),
        job("one_vs_all_degenes", "one_vs_all_degenes", large, of_large, 4),
        job("one_vs_all_degenes_exact", "one_vs_all_degenes, all pairs", large, of_large, 1.5,
            asked = "one_vs_all_degenes"),
        job("generate", "generate(10)", small, of_small, 3, memory = result_and_allowance),
        job("generate_feature_correlation_matrix", "Spearman correlation matrix", small, of_small, 3,
            memory = result_and_allowance)
    )
    for (n in options$neighbours) {
        set <- latent_set(n)
        size <- paste(count(n), "cells")
        of_neighbours <- function(k) {
            force(k)
            n <- n
            function(bytes) n * k * bytes_per_neighbour + allowance
        }
        jobs <- c(jobs, list(
            job("entropy_batch_mixing", "entropy_batch_mixing", set, size, 1, memory = of_neighbours(50)),
            job("entropy_batch_mixing_exact", "entropy_batch_mixing of all cells", set, size, NA,
                asked = "entropy_batch_mixing", memory = of_neighbours(50)),
            job("knn_purity", "knn_purity", set, size, 1, memory = of_neighbours(30))))
    }
    jobs
}

select_jobs <- function(jobs, wanted) {
    names <- vapply(jobs, `[[`, "", "name")
    unknown <- setdiff(wanted, c("all", "million", names))
    if (length(unknown)) {
        stop("unknown job: ", toString(unknown), "; jobs: ", toString(c("all", "million", unique(names))))
    }
    if ("all" %in% wanted) jobs else jobs[names %in% wanted]
}

counts_set <- function(cells, genes, density) {
    list(name = sprintf("%dx%d", cells, genes), cells = cells, genes = genes,
        write = function(folder) simulate_counts(folder, cells, genes, density))
}

latent_set <- function(cells) {
    list(name = sprintf("latent%d", cells), cells = cells, write = function(folder) simulate_latent(folder, cells))
}

count <- function(n) format(n, big.mark = ",", scientific = FALSE)
