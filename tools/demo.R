# Trains scVI on real cells and shows what came of it: the first command of the README. Seconds, not minutes.
#   Rscript tools/demo.R [folder for the results] [epochs]
suppressPackageStartupMessages({
    library(rscvi)
    library(ggplot2)
})

arguments <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arguments) >= 1) arguments[[1]] else "demo-output"
n_epochs <- if (length(arguments) >= 2) as.integer(arguments[[2]]) else 100L
dir.create(folder, showWarnings = FALSE, recursive = TRUE)
started <- proc.time()[["elapsed"]]
say <- function(...) cat(sprintf(...), "\n", sep = "")
# Okabe & Ito: safe for colour-blind eyes
palette <- c("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")

# Data: 1,556 blood cells of two donors, resting (ctrl) and stimulated with interferon beta (stim) -------------------
sce <- example_pbmc()
dataset <- GeneExpressionDataset(sce, batch = "batch", labels = "cell_type")
print(dataset)

# Training -------------------------------------------------------------------------------------------------------------
vae <- VAE(dataset, n_latent = 10, seed = 1)
trainer <- UnsupervisedTrainer(vae, dataset, train_size = 0.9, n_epochs_kl_warmup = n_epochs %/% 4, frequency = 5)
held_out <- test_set(trainer)
quality <- function() {
    c(reconstruction_error = reconstruction_error(held_out, seed = 1),
        marginal_ll = marginal_ll(held_out, 100, seed = 1))
}
say("\nTraining on %d cells, testing on %d:", nb_cells(train_set(trainer)), nb_cells(held_out))
before <- quality()
seconds <- system.time(trainer <- train(trainer, n_epochs = n_epochs, seed = 1, verbose = TRUE))[["elapsed"]]
after <- quality()
say("\n%d epochs took %.1f s (%.0f cells a second).", n_epochs, seconds,
    n_epochs * nb_cells(train_set(trainer)) / seconds)
say("\nHeld-out cells, nats per cell, smaller is better:")
say("  %-32s %10s %10s", "", "before", "after")
say("  %-32s %10.1f %10.1f", "reconstruction error", before[[1]], after[[1]])
say("  %-32s %10.1f %10.1f", "-log p(x), 100 draws a cell", before[[2]], after[[2]])

# Latent space, beside principal components of the same genes ----------------------------------------------------------
post <- Posterior(vae, dataset)
latent <- get_latent(post)
z <- as.matrix(latent[startsWith(names(latent), "latent_")])
counts <- as.matrix(counts(dataset))
log_normalised <- log1p(t(counts) / colSums(counts) * 1e4)
pca <- prcomp(log_normalised, rank. = ncol(z))$x

silhouette_of <- function(x, groups) mean(cluster::silhouette(as.integer(groups), dist(x))[, "sil_width"])
say("\nMean silhouette (cell types: larger is better; batches: near 0 is well mixed):")
say("  %-32s %10s %10s", "", "scVI", "PCA")
say("  %-32s %10.3f %10.3f", "cell types", silhouette_of(z, latent$labels), silhouette_of(pca, latent$labels))
say("  %-32s %10.3f %10.3f", "batches (ctrl, stim)", silhouette_of(z, latent$batch), silhouette_of(pca, latent$batch))

# Files ----------------------------------------------------------------------------------------------------------------
write.csv(latent, file.path(folder, "latent.csv"))

curve <- history(trainer)
curve <- curve[!is.na(curve$elbo_test_set) & curve$epoch > 0, ]
curve <- data.frame(
    epoch = rep(curve$epoch, 2), elbo = c(curve$elbo_train_set, curve$elbo_test_set),
    cells = rep(c("training", "held out"), each = nrow(curve))
)
theme_set(theme_bw(base_size = 12) + theme(panel.grid.minor = element_blank()))
ggsave(file.path(folder, "training.png"), width = 6, height = 4, dpi = 150, plot =
    ggplot(curve, aes(epoch, elbo, colour = cells)) +
    geom_line(linewidth = 0.8) + geom_point(size = 1.2) +
    scale_y_log10() + scale_colour_manual(values = palette) +
    labs(title = "Training scVI on interferon-stimulated blood cells", x = "epoch",
        y = "negative ELBO, nats per cell (log scale)", colour = NULL) +
    theme(legend.position = "top"))

set.seed(1)
umap <- uwot::umap(z, n_neighbors = 20, min_dist = 0.3, n_threads = 1)
points <- data.frame(
    umap_1 = rep(umap[, 1], 2), umap_2 = rep(umap[, 2], 2),
    group = c(as.character(latent$labels), as.character(latent$batch)),
    panel = factor(rep(c("cell type", "batch"), each = nrow(umap)), levels = c("cell type", "batch"))
)
points <- points[sample(nrow(points)), ]  # no group on top of another
panel <- function(which) {
    these <- points[points$panel == which, ]
    ggplot(these, aes(umap_1, umap_2, colour = group)) +
        geom_point(size = 0.7, alpha = 0.8) + scale_colour_manual(values = palette) + coord_equal() +
        guides(colour = guide_legend(nrow = 2, override.aes = list(size = 2.5, alpha = 1))) +
        labs(title = paste("Latent space by", which), x = "UMAP 1", y = "UMAP 2", colour = NULL) +
        theme(axis.text = element_blank(), axis.ticks = element_blank(), legend.position = "bottom")
}
png(file.path(folder, "latent.png"), width = 11, height = 5.6, units = "in", res = 150)
grid::pushViewport(grid::viewport(layout = grid::grid.layout(1, 2)))
print(panel("cell type"), vp = grid::viewport(layout.pos.row = 1, layout.pos.col = 1))
print(panel("batch"), vp = grid::viewport(layout.pos.row = 1, layout.pos.col = 2))
invisible(dev.off())

say("\nWrote latent.csv, training.png and latent.png to %s (%.0f s in all).", normalizePath(folder),
    proc.time()[["elapsed"]] - started)
