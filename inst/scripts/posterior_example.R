# The example in the documentation of scvi 0.6.8's class Posterior, in the same words.
#
#   Rscript -e 'source(system.file("scripts", "posterior_example.R", package = "rscvi"), echo = TRUE)'
#
# CortexDataset() needs the Bioconductor package scRNAseq and, the first time, a network; where it has neither it stops
# and says what to do. Any other data set does as well, for instance
#   gene_dataset <- GeneExpressionDataset(example_pbmc(), batch = "batch", labels = "cell_type")
library(rscvi)

# Let us instantiate a trainer, with a gene_dataset and a model
gene_dataset <- CortexDataset()
vae <- VAE(nb_genes(gene_dataset), n_batch = n_batches(gene_dataset) * FALSE, n_labels = n_labels(gene_dataset))
trainer <- UnsupervisedTrainer(vae, gene_dataset)
trainer <- train(trainer, n_epochs = 50)

# An UnsupervisedTrainer has two posteriors, train_set and test_set. For these cells of the data set we can examine the
# differential expression, the likelihood, the entropy of batch mixing, ... or draw the cells in the latent space.

# 100 draws a cell by default, 8 bytes for each gene of a draw: 1.2 GB for the 2,704 training cells. It is deprecated,
# and says so: differential_expression_score() has taken its place.
stats <- differential_expression_stats(train_set(trainer))
dim(stats$px_scales)
table(stats$labels)

reconstruction_error(train_set(trainer))

# These cells are of one batch: there is nothing to mix. Where scvi 0.6.8 returns None without a word, rscvi stops and
# says so, which tryCatch() turns into NULL here; data of several batches give a number.
mixing <- tryCatch(entropy_batch_mixing(train_set(trainer)), rscvi_single_group = function(e) {
    message(conditionMessage(e))
    NULL
})
mixing

picture <- show_t_sne(train_set(trainer), n_samples = 1000, color_by = "labels")
print(picture)
