# Training on very many cells: time per cell against that at few, and peak memory.
#
#   Rscript bench/million.R FOLDER FEW
#
# run.R starts this in a process of its own. FOLDER holds counts.rds and cells.rds of simulate.R. Prints
# "<seconds per cell> <seconds per cell of FEW of the cells> <bytes of the counts> <bytes of the process at its peak>".

suppressPackageStartupMessages(library(rscvi))

repetitions_of_few <- 3L

status <- function(field) {
    line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
    1024 * as.numeric(gsub("[^0-9]", "", line))
}

trainer_of <- function(counts, cells) {
    dataset <- GeneExpressionDataset(counts, batch = cells$batch, labels = cells$label)
    UnsupervisedTrainer(VAE(dataset, seed = 1), dataset, train_size = 1, seed = 1)
}

epoch <- function(trainer) {
    begin <- Sys.time()
    train(trainer, n_epochs = 1, verbose = FALSE)
    as.numeric(Sys.time() - begin, units = "secs")
}

arguments <- commandArgs(trailingOnly = TRUE)
cells <- readRDS(file.path(arguments[1L], "cells.rds"))
counts <- readRDS(file.path(arguments[1L], "counts.rds"))
bytes <- length(counts@i) * 12 + length(counts@p) * 4
per_cell <- epoch(trainer_of(counts, cells)) / nrow(cells)
peak <- status("VmHWM") # before the few cells, whose counts are a copy

few <- seq_len(min(as.integer(arguments[2L]), nrow(cells)))
trainer <- trainer_of(counts[, few], cells[few, ])
epoch(trainer)
per_cell_few <- stats::median(vapply(seq_len(repetitions_of_few), function(k) epoch(trainer), 0)) / length(few)
cat(sprintf("%.9g %.9g %.0f %.0f\n", per_cell, per_cell_few, bytes, peak))
