# Does rscvi learn what the same model learns in plain PyTorch?
#
#   Rscript bench/parity.R [--runs 5] [--n-epochs 100] [--threads 2] [--python python3] ...   (all options: below)
#
# Both sides get the cells of example_pbmc(), or of --data FILE, the same split (90 % to train on), the same initial
# weights and the same hyperparameters; then each trains `runs` times, with seeds that decide the order of cells,
# dropout and the draws of the latent variables. Measured on the held-out cells, in nats a cell, smaller is better:
# -log p(x) by importance sampling (`marginal_ll`), the negative ELBO and the reconstruction error, before training
# (where only Monte-Carlo error may differ) and after; on the training cells, the steps' loss in the last tenth of the
# epochs. The sides agree if the means of -log p(x) after training are within two standard errors of their difference,
# those of the training loss within three; the exit status says so (0 or 1). Two equal sides fail this in about one of
# ten trials of 5 runs each. Runs differ much on held-out cells (batch norm's running statistics follow slowly, and a
# few large cells weigh heavily) and little in the training loss, which needs neither: that row sees differences in how
# the two are trained that are far smaller.
#
# Needs rscvi and a Python with torch, numpy and scipy (Debian: python3-torch python3-scipy); see vae_pytorch.py.

defaults <- list(
    runs = 5L, `n-epochs` = 100L, `n-latent` = 10L, dispersion = "gene", `reconstruction-loss` = "zinb",
    `n-mc-samples` = 100L, # draws a cell for -log p(x)
    seed = 1L,             # of the split and of the initial weights; run i trains with seed i
    threads = 2L,          # of both sides
    precision = "single",  # or "bfloat16": of rscvi's training
    data = "",             # .rds of a list with `counts`, genes x cells: tests/realdata/pbmc3k.rds; "": example_pbmc()
    python = "python3",
    keep = ""              # folder to leave the exported data and the results in
)
metrics <- c("marginal_ll", "elbo", "reconstruction_error") # of held-out cells
limits <- c(marginal_ll = 2, training_loss = 3)             # of differences after training, in standard errors

parse_options <- function(arguments) {
    options <- defaults
    while (length(arguments) > 0L) {
        name <- sub("^--", "", arguments[1L])
        if (!name %in% names(defaults) || length(arguments) < 2L) {
            stop("unknown option or no value: ", arguments[1L], "; options: ", toString(paste0("--", names(defaults))))
        }
        value <- arguments[2L]
        options[[name]] <- if (is.integer(defaults[[name]])) as.integer(value) else value
        arguments <- arguments[-(1:2)]
    }
    options
}

script_folder <- function() {
    file <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
    dirname(normalizePath(file))
}

# A BLAS reads its number of threads when it is loaded, long before this line: start again with it set.
thread_variables <- function(n) {
    paste0(c("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "=", n)
}

restart_with_threads <- function(n) {
    if (identical(Sys.getenv("OMP_NUM_THREADS"), as.character(n)) &&
        identical(Sys.getenv("OPENBLAS_NUM_THREADS"), as.character(n))) return(invisible())
    status <- system2(file.path(R.home("bin"), "Rscript"),
        c(shQuote(file.path(script_folder(), "parity.R")), shQuote(commandArgs(trailingOnly = TRUE))),
        env = thread_variables(n))
    quit(status = status)
}

# ---------------------------------------------------------------------------------------------------- the side of R

start_trainer <- function(dataset, options) {
    vae <- VAE(dataset, n_latent = options$`n-latent`, dispersion = options$dispersion,
        reconstruction_loss = options$`reconstruction-loss`, seed = options$seed)
    # KL weight 1 from the first epoch: a warm-up longer than the training would leave the ELBO half optimised.
    list(
        vae = vae,
        trainer = UnsupervisedTrainer(vae, dataset, train_size = 0.9, n_epochs_kl_warmup = NULL, seed = options$seed,
            precision = options$precision)
    )
}

measure <- function(posterior, options) {
    c(
        marginal_ll = marginal_ll(posterior, n_mc_samples = options$`n-mc-samples`),
        elbo = elbo(posterior), reconstruction_error = reconstruction_error(posterior)
    )
}

run_rscvi <- function(dataset, weights, test_cells, seed, options) {
    set.seed(seed)
    start <- start_trainer(dataset, options)
    stopifnot(
        "the initial weights changed between runs" = identical(state_dict(start$vae), weights),
        "the split changed between runs" = identical(indices(test_set(start$trainer)), test_cells)
    )
    before <- measure(test_set(start$trainer), options)
    seconds <- system.time(
        trainer <- train(start$trainer, n_epochs = options$`n-epochs`, seed = seed)
    )[["elapsed"]]
    after <- measure(test_set(trainer), options)
    message(sprintf("seed %d: -log p(x) %.3f -> %.3f, %.1f s of training", seed, before[["marginal_ll"]],
        after[["marginal_ll"]], seconds))
    loss <- mean(tail(history(trainer)$loss, ceiling(options$`n-epochs` / 10)))
    data.frame(seed = seed, stage = c("before", "after"), training_loss = c(NA, loss),
        rbind(before, after), seconds = c(0, seconds), row.names = NULL)
}

# ----------------------------------------------------------------------------------------------- the side of PyTorch

write_column <- function(values, name, file) {
    utils::write.csv(stats::setNames(data.frame(values), name), file, row.names = FALSE, quote = FALSE)
}

# Row-major float32, the way torch stores tensors: R's arrays have the first index fastest, so they are turned round.
write_weights <- function(weights, folder) {
    dir.create(folder)
    files <- sprintf("%03d.bin", seq_along(weights))
    for (i in seq_along(weights)) {
        x <- weights[[i]]
        writeBin(as.numeric(if (length(dim(x)) > 1L) aperm(x) else x), file.path(folder, files[i]), size = 4L,
            endian = "little")
    }
    shape <- vapply(weights, function(x) paste(if (length(dim(x)) > 1L) dim(x) else length(x), collapse = " "), "")
    utils::write.csv(data.frame(name = names(weights), file = files, shape = shape), file.path(folder, "manifest.csv"),
        row.names = FALSE, quote = FALSE)
}

export <- function(sce, weights, train_cells, test_cells, folder) {
    Matrix::writeMM(SingleCellExperiment::counts(sce), file.path(folder, "counts.mtx"))
    write_column(as.integer(sce$batch) - 1L, "batch", file.path(folder, "batch.csv"))
    write_column(train_cells - 1L, "cell", file.path(folder, "train.csv"))
    write_column(test_cells - 1L, "cell", file.path(folder, "test.csv"))
    write_weights(weights, file.path(folder, "weights"))
}

run_pytorch <- function(folder, options) {
    results <- file.path(folder, "pytorch.csv")
    same <- options[c("n-epochs", "n-latent", "dispersion", "reconstruction-loss", "n-mc-samples", "threads")]
    status <- system2(options$python, c(
        shQuote(file.path(script_folder(), "vae_pytorch.py")),
        "--data", shQuote(folder), "--results", shQuote(results),
        "--seeds", paste(seq_len(options$runs), collapse = ","), rbind(paste0("--", names(same)), unlist(same))
    ), env = thread_variables(options$threads))
    if (status != 0L) stop("vae_pytorch.py failed with status ", status)
    utils::read.csv(results)
}

# -------------------------------------------------------------------------------------------------------- comparison

compare <- function(rscvi, pytorch, stage) {
    if (stage == "after") metrics <- c(metrics, "training_loss")
    rscvi <- rscvi[rscvi$stage == stage, metrics]
    pytorch <- pytorch[pytorch$stage == stage, metrics]
    standard_error <- sqrt(vapply(rscvi, stats::var, 0) / nrow(rscvi) + vapply(pytorch, stats::var, 0) / nrow(pytorch))
    difference <- colMeans(rscvi) - colMeans(pytorch)
    data.frame(
        rscvi.mean = colMeans(rscvi), rscvi.sd = vapply(rscvi, stats::sd, 0),
        pytorch.mean = colMeans(pytorch), pytorch.sd = vapply(pytorch, stats::sd, 0),
        difference = difference, standard.error = standard_error, z = difference / standard_error
    )
}

# Of a list without batches: one.
read_cells <- function(file) {
    if (!nzchar(file)) return(example_pbmc())
    counts <- readRDS(file)$counts
    columns <- S4Vectors::DataFrame(batch = factor(rep("1", ncol(counts))), cell_type = rep("unknown", ncol(counts)))
    SingleCellExperiment::SingleCellExperiment(list(counts = counts), colData = columns)
}

main <- function() {
    options <- parse_options(commandArgs(trailingOnly = TRUE))
    restart_with_threads(options$threads)
    suppressPackageStartupMessages(library(rscvi))
    folder <- if (nzchar(options$keep)) options$keep else tempfile("parity")
    if (!dir.create(folder)) stop("could not make a new folder ", folder)

    sce <- read_cells(options$data)
    dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
    start <- start_trainer(dataset, options)
    weights <- state_dict(start$vae)
    test_cells <- indices(test_set(start$trainer))
    train_cells <- indices(train_set(start$trainer))
    message(sprintf("%d genes, %d cells to train on, %d held out; %s, dispersion %s; %d epochs, %d threads",
        nrow(sce), length(train_cells), length(test_cells), options$`reconstruction-loss`, options$dispersion,
        options$`n-epochs`, options$threads))
    export(sce, weights, train_cells, test_cells, folder)

    message("PyTorch")
    pytorch <- run_pytorch(folder, options)
    message("rscvi")
    rscvi <- do.call(rbind, lapply(seq_len(options$runs), function(seed) {
        run_rscvi(dataset, weights, test_cells, seed, options)
    }))
    utils::write.csv(rscvi, file.path(folder, "rscvi.csv"), row.names = FALSE)

    for (stage in c("before", "after")) {
        cat(sprintf("\n%s training (nats a cell, smaller is better)\n", c(before = "Before", after = "After")[[stage]]))
        print(compare(rscvi, pytorch, stage), digits = 4L)
    }
    seconds <- function(results) mean(results$seconds[results$stage == "after"])
    cat(sprintf("\nTraining took %.1f s in rscvi and %.1f s in PyTorch (means, %d threads).\n", seconds(rscvi),
        seconds(pytorch), options$threads))

    z <- abs(compare(rscvi, pytorch, "after")[names(limits), "z"])
    agree <- all(is.finite(z) & z <= limits)
    cat(sprintf("%s: means of %s are %s standard errors of their difference apart (limits %s).\n",
        if (agree) "They agree" else "THEY DIFFER", paste(names(limits), collapse = " and "),
        paste(sprintf("%.2f", z), collapse = " and "), paste(limits, collapse = " and ")))
    quit(status = if (agree) 0L else 1L)
}

main()
