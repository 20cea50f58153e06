# How much memory does training take?
#
#   Rscript bench/memory.R [cells] [genes] [epochs]          # 100000 2000 1
#
# Simulates counts of which 10 % are not zero (100,000 cells x 2,000 genes: 240 MB as a dgCMatrix), trains one epoch
# with rscvi and reports the peak resident memory of the process, with the limit of the counts' size + 500 MB. Exit
# status 1 if it is above. The 500 MB hold everything else: R, its packages and LibTorch, whose size before any data is
# loaded is printed as the baseline.
#
# Linux only: the peak is VmHWM of /proc/self/status, which cannot be reset. So the cells are simulated by another
# process (this script again), and this one reads them from a file that is not compressed, straight into their final
# place.

allowance_mb <- 500
density <- 0.1

status_mb <- function(field) {
    line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
    as.numeric(gsub("[^0-9]", "", line)) * 1024 / 1e6 # the kernel says kB and means KiB
}

# Each cell has `density` of the genes; counts are Poisson around the gene's level times the cell's depth, plus 1.
simulate <- function(n_cells, n_genes, file) {
    set.seed(1)
    per_cell <- round(density * n_genes)
    i <- integer(n_cells * per_cell)
    x <- numeric(n_cells * per_cell)
    level <- stats::rgamma(n_genes, shape = 0.3, rate = 0.3)
    depth <- stats::rlnorm(n_cells, sdlog = 0.4)
    for (cell in seq_len(n_cells)) {
        genes <- sort(sample.int(n_genes, per_cell))
        here <- (cell - 1L) * per_cell + seq_len(per_cell)
        i[here] <- genes - 1L
        x[here] <- 1 + stats::rpois(per_cell, level[genes] * depth[cell])
    }
    counts <- methods::new(methods::getClass("dgCMatrix", where = asNamespace("Matrix")),
        i = i, p = as.integer(seq(0, n_cells * per_cell, by = per_cell)), x = x, Dim = c(n_genes, n_cells),
        Dimnames = list(paste0("gene", seq_len(n_genes)), paste0("cell", seq_len(n_cells))))
    saveRDS(counts, file, compress = FALSE)
}

simulate_elsewhere <- function(n_cells, n_genes) {
    file <- tempfile(fileext = ".rds")
    script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
    status <- system2(file.path(R.home("bin"), "Rscript"),
        c(shQuote(script), "--simulate", format(n_cells, scientific = FALSE), n_genes, shQuote(file)))
    if (status != 0L) stop("the simulation failed with status ", status)
    file
}

report <- function(what, mb) cat(sprintf("%-58s %7.0f MB\n", what, mb))

measure <- function(n_cells, n_genes, n_epochs) {
    file <- simulate_elsewhere(n_cells, n_genes)
    on.exit(unlink(file))

    # What loading leaves behind as garbage is up to when R happens to collect it, and that to the locale: up to 70 MB.
    for (package in c("Matrix", "stats4", "BiocGenerics", "S4Vectors", "rlang", "cli")) {
        loadNamespace(package)
        gc()
    }
    suppressPackageStartupMessages(library(rscvi))
    report("Baseline: R, packages, LibTorch; no data yet", status_mb("VmHWM"))
    counts <- readRDS(file)
    # What the three arrays of the matrix take: row indices, counts, column starts.
    counts_mb <- (length(counts@i) * 12 + length(counts@p) * 4) / 1e6
    report(sprintf("Counts: %s cells x %s genes, %.0f %% not zero", format(n_cells, big.mark = ","),
        format(n_genes, big.mark = ","), 100 * length(counts@x) / n_cells / n_genes), counts_mb)
    report("Peak with the counts loaded", status_mb("VmHWM"))

    batch <- factor(rep_len(c("a", "b"), n_cells))
    dataset <- GeneExpressionDataset(counts, batch = batch)
    report("Peak with the data set made", status_mb("VmHWM"))
    vae <- VAE(dataset, seed = 1)
    trainer <- UnsupervisedTrainer(vae, dataset, seed = 1)
    report("Peak with model and trainer made", status_mb("VmHWM"))
    seconds <- system.time(trainer <- train(trainer, n_epochs = n_epochs, seed = 1))[["elapsed"]]
    peak <- status_mb("VmHWM")
    report(sprintf("Peak after %d epoch(s) of training (%.0f s)", n_epochs, seconds), peak)

    limit <- counts_mb + allowance_mb
    report(sprintf("Limit: the counts + %d MB", allowance_mb), limit)
    cat(if (peak <= limit) "Within the limit.\n" else "ABOVE THE LIMIT.\n")
    quit(status = if (peak <= limit) 0L else 1L)
}

arguments <- commandArgs(trailingOnly = TRUE)
if (identical(arguments[1L], "--simulate")) {
    simulate(as.integer(arguments[2L]), as.integer(arguments[3L]), arguments[4L])
} else {
    sizes <- c(100000L, 2000L, 1L)
    sizes[seq_along(arguments)] <- as.integer(arguments)
    measure(sizes[1L], sizes[2L], sizes[3L])
}
