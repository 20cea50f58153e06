# The jobs of bench/run.R in rscvi: a worker that run.R starts and asks.
#
#   Rscript bench/jobs.R FOLDER PORT [--untrained]
#
# FOLDER holds the data sets that simulate.R wrote. Requests are lines "job data_set"; answers are lines
# "ok <seconds> <bytes of the result> <bytes that the peak memory is above the memory before>" or "error <why>".
# jobs_pytorch.py does the same jobs in Python.

suppressPackageStartupMessages(library(rscvi))

load_data <- function(folder, trained) {
    if (startsWith(basename(folder), "latent")) load_latent(folder) else load_counts(folder, trained)
}

load_latent <- function(folder) {
    cells <- readRDS(file.path(folder, "cells.rds"))
    list(latent = readRDS(file.path(folder, "latent.rds")), batch = cells$batch, label = cells$label)
}

load_counts <- function(folder, trained) {
    cells <- readRDS(file.path(folder, "cells.rds"))
    dataset <- GeneExpressionDataset(readRDS(file.path(folder, "counts.rds")), batch = cells$batch,
        labels = cells$label)
    vae <- VAE(dataset, seed = 1)
    trainer <- UnsupervisedTrainer(vae, dataset, train_size = 1, seed = 1)
    rounding <- UnsupervisedTrainer(vae, dataset, train_size = 1, seed = 1, precision = "bfloat16")
    data <- list(trainer = trainer, rounding = rounding, post = Posterior(vae, dataset))
    data$thousand <- Posterior(vae, dataset, indices = seq_len(min(1000L, nrow(cells))))
    if (trained) jobs$epoch(data)
    data
}

populations <- list(group1 = "0", group2 = "1")
compare <- function(data, ...) {
    get_bayes_factors(data$post, group1 = populations$group1, group2 = populations$group2, ...)
}

jobs <- list(
    epoch = function(data) {
        train(data$trainer, n_epochs = 1, verbose = FALSE)
        NULL
    },
    epoch_bfloat16 = function(data) {
        train(data$rounding, n_epochs = 1, verbose = FALSE)
        NULL
    },
    elbo = function(data) elbo(data$post),
    reconstruction_error = function(data) reconstruction_error(data$post),
    marginal_ll = function(data) marginal_ll(data$thousand, n_mc_samples = 100),
    get_latent = function(data) get_latent(data$post),
    get_sample_scale = function(data) get_sample_scale(data$post),
    imputation = function(data) imputation(data$post),
    get_bayes_factors = function(data) compare(data),
    get_bayes_factors_exact = function(data) compare(data, use_permutation = TRUE, M_permutation = Inf),
    one_vs_all_degenes = function(data) one_vs_all_degenes(data$post),
    one_vs_all_degenes_exact = function(data) {
        one_vs_all_degenes(data$post, use_permutation = TRUE, M_permutation = Inf)
    },
    generate = function(data) generate(data$post, n_samples = 10),
    generate_feature_correlation_matrix = function(data) generate_feature_correlation_matrix(data$post),
    entropy_batch_mixing = function(data) entropy_batch_mixing(data$latent, data$batch),
    entropy_batch_mixing_exact = function(data) entropy_batch_mixing(data$latent, data$batch, n_pools = Inf),
    knn_purity = function(data) knn_purity(data$latent, data$label)
)

# ------------------------------------------------------------------------------------------------------------- worker

memory <- function(field) {
    line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
    1024 * as.numeric(gsub("[^0-9]", "", line))
}

measure <- function(job, data) {
    gc(verbose = FALSE)
    writeLines("5", "/proc/self/clear_refs") # the peak starts anew from what the process takes now
    before <- memory("VmRSS")
    begin <- Sys.time()
    result <- job(data)
    seconds <- as.numeric(Sys.time() - begin, units = "secs")
    peak <- memory("VmHWM") - before
    sprintf("ok %.6f %.0f %.0f", seconds, as.numeric(utils::object.size(result)), peak)
}

versions <- function() {
    maps <- grep("/lib(openblas|blas|Rblas|blis|mkl_core|torch_cpu)[^/]*$", readLines("/proc/self/maps"), value = TRUE)
    libraries <- basename(normalizePath(unique(sub("^[^/]*", "", maps))))
    sprintf("ok rscvi %s, R %s, %s", utils::packageVersion("rscvi"), getRversion(), toString(unique(libraries)))
}

serve <- function(folder, port, trained) {
    # An hour: the other side's turns take as long as they take.
    lines <- socketConnection("127.0.0.1", port, blocking = TRUE, open = "r+", timeout = 3600)
    loaded <- list()
    while (length(request <- readLines(lines, 1L)) > 0L) {
        request <- strsplit(request, " ")[[1L]]
        answer <- tryCatch({
            if (request[1L] == "versions") {
                versions()
            } else {
                name <- request[2L]
                if (is.null(loaded[[name]])) loaded[[name]] <- load_data(file.path(folder, name), trained)
                measure(jobs[[request[1L]]], loaded[[name]])
            }
        }, error = function(e) paste("error", gsub("\\s+", " ", conditionMessage(e))))
        writeLines(answer, lines)
    }
}

arguments <- commandArgs(trailingOnly = TRUE)
serve(arguments[1L], as.integer(arguments[2L]), trained = !"--untrained" %in% arguments)
