#' Differences from scvi 0.6.8
#'
#' rscvi reproduces the numbers of scvi 0.6.8 (its tests hold them to 1e-4 with the same weights and noise), with its
#' names and defaults, except for the following.
#'
#' # Mistakes that are mended
#' ## Training
#' * **The best state is kept.** `save_best_state_metric` there keeps a reference to the live weights, so that it
#'   restores nothing; here it is a copy ([UnsupervisedTrainer()]).
#' * **Early stopping works without `frequency`**: its metric is computed after every epoch.
#' * **A KL warm-up of 0** means none; there it divides by zero.
#' * **Large inverse dispersions.** There the single-precision difference of two log-gamma functions is off by more than
#'   a nat at \eqn{\theta = 10^6}; here no such difference is ever formed ([log_nb()]).
#' * **Rates that underflow to 0** do not turn the likelihood into NaN, and can be drawn from ([generate()]).
#' * **A diverged model** is put back to the end of the last sound epoch. A minibatch without a finite loss is not
#'   stepped on (there its gradients go into all weights), nor are weights that give none in the end left behind.
#' * **The untrained model** is among those that the best state is picked from. A metric that is not a number counts as
#'   an epoch without a gain.
#' * **[AdapterTrainer()]** leaves all but the encoders as they are, gives the divergence of z its full weight from the
#'   start, and leaves the model where it reached what is returned. There the decoder's running statistics move, the
#'   warm-up of 400 epochs is longer than a path, and the model is left at the end of the last path.
#' ## Every method
#' * **Order.** Results of a posterior with `indices` come there in a new random order on each call; here always in the
#'   order of `indices`.
#' * **Results do not depend on what was asked before**: a posterior is a value, nothing in it is changed by a method.
#' * **A posterior without settings** computes 128 cells at a time (there 1), and on the CPU if there is no GPU (there
#'   an error).
#' * **Unknown genes, batches and settings** are errors; there `gene_list` and `transform_batch` ignore some of them
#'   without a word.
#' * **An unknown corruption method** is an error before anything is changed.
#' ## Differential expression
#' * **Differential expression leaves the posterior alone.** There it replaces the cells that later methods work on
#'   ([scale_sampler()]). With a mask, `n_samples_per_cell` counts the selected cells and not the length of the mask.
#' * **Clusters go by their value** ([one_vs_all_degenes()]); there labels 5 and 7 give nothing, and 1, 2, 3 wrong
#'   names.
#' * **Tables of differential expression keep ties in the order of the genes**; there the order of ties is arbitrary.
#' * **Spreadsheets have legal sheet names**, however long or odd the clusters' names are, and `save_dir` needs no
#'   slash.
#' ## Expression and generation
#' * **Several draws** of [imputation()] and [generate_parameters()] come as draws x cells x genes. There minibatches
#'   are joined along the wrong axis: an error, or an array of another shape.
#' * **Dispersions** of [generate_parameters()] are cells x genes; there, unless there is one a gene, they come in
#'   blocks of minibatch x minibatch x genes. What a model does not have (dropout and dispersion of a Poisson model,
#'   dropout of a negative binomial one) is `NULL`; there it is what a part of the network gives that was never fitted.
#' * **`transform_batch`** of [generate_denoised_samples()] and [generate_feature_correlation_matrix()] is honoured.
#'   Denoised samples of a Poisson model are its expected expression; there they vary with a dispersion that was never
#'   fitted.
#' * **One draw** of [generate()] and [generate_denoised_samples()], and Spearman correlations of **two genes**, work.
#' * **Nothing to impute** is no error in [imputation_benchmark()], and its picture is saved only where that is asked
#'   for.
#' ## Scores and pictures
#' * **Any number of batches** from two on has an [entropy_batch_mixing()]; there two alone, and more are an error or
#'   `None`.
#' * **Fewer cells than neighbours**: [knn_purity()], [nn_overlap_score()] and [entropy_batch_mixing()] take all other
#'   cells, and warn; there `knn_purity()` of 30 cells fails.
#' * **Cells at the same place**: no cell is taken for its own neighbour.
#' * **Nothing to compare** (one batch, one label, no proteins, [accuracy()] of a model that predicts no labels) is an
#'   error that says so; there it is `None`.
#' * **Few cells and two dimensions** can be drawn ([show_t_sne()]): there the perplexity of 30 does not fit 30 cells,
#'   and cells of a two-dimensional latent space are drawn in one order and coloured in another.
#' ## Models with labels
#' * **Labels of cells outside the labelled set** reach no loss ([SemiSupervisedTrainer()]); there the alternate trainer
#'   sees the labels of all cells, and a label with few cells is topped up with cells of others.
#' * **The classifier's loss** is that of its probabilities; there the softmax is taken twice (`double_softmax = TRUE`),
#'   in [SemiSupervisedTrainer()] and in [ClassifierTrainer()].
#' * **Early stopping on the accuracy** of a [ClassifierTrainer()] has a `threshold` that suits shares; there 3 is the
#'   default, which no gain of accuracy reaches, so that training always stops after `patience` epochs.
#' * **[VAEC()] with one dispersion a gene and label** is trained with the label's dispersion; there with the product of
#'   those of the first two labels, whatever the label. Its latent space can be asked for.
#' * **[hierarchical_accuracy()]** is that of groups; there that of labels.
#' * **Combinations that cannot work** ([SCANVI()] with `"gene-label"`, [LDVAE()] with `"gene-cell"`) are errors at
#'   once.
#' ## Saving
#' * **Saving keeps everything.** There [load_posterior()] renumbers the labels in order of appearance, drops cells
#'   without counts but not their indices, needs the model built anew by hand, and visits the cells in random order.
#'
#' # Habits of R
#' * Indices and codes are 1-based; batches and labels are factors and are asked for by name. Masks and names work
#'   wherever indices do. Data sets are made from genes x cells; what the methods return is cells x genes, as in 0.6.8.
#' * The cells `idx1` and `idx2` of differential expression are positions (or names) among the posterior's cells, as in
#'   all methods; there they are of the data set, and a posterior of all cells in order is assumed.
#' * Tables are data.frames with names: [get_latent()], [history()], [loss_terms()].
#' * `set.seed()` decides all randomness unless a `seed` is given (trainers split with `seed = 0`, as in 0.6.8).
#' * A posterior and a data set are values: [update()], [corrupted()], [update_sampler_indices()], [corrupt()] return
#'   new ones, as does [to_cuda()], which there moved a list of tensors. Models and trainers have reference semantics,
#'   as in Python.
#' * [history()] is of the last call of [train()]; there a list grows from call to call. `test_size = 0` means no test
#'   set.
#' * Empty cells and batches of a single cell are errors at construction (`empty_cells = "keep"` is 0.6.8's way).
#' * [history()] without a trainer is still [utils::history()], the commands of the session.
#' * Scores come back as [nn_overlap_score()]'s named list and [clustering_scores()]'s data.frame, pictures as ggplots.
#' * The clusters of [clustering_scores()] are as many as there are labels among the posterior's cells.
#'
#' # Beyond 0.6.8
#' * [marginal_ll()] works for the logistic normal latent distribution.
#' * `M_permutation = Inf` tests all pairs of samples, exactly; `pseudocounts`, `fdr_target`, `proba_up` and
#'   `proba_down` in change mode; populations by label name ([differential_expression_score()]).
#' * [one_vs_all_degenes()] samples each cluster once and draws "all others" from those samples.
#' * `transform_batch` of [generate()]; genes to choose in [imputation()], [generate_denoised_samples()] and
#'   [generate_feature_correlation_matrix()].
#' * [save_model()], [load_model()] and [read_safetensors()]: weights in files that Python reads and writes, too. The
#'   files of [save_posterior()] are of that format, not of 0.6.8's, and loading them runs no code.
#' * [CortexDataset()] comes from Bioconductor, with the genes' names as published.
#' * [ClassifierPosterior()] has its sampling model when it is made, and SCANVI's or VAEC's own classifier can be
#'   trained by name: `ClassifierTrainer(scanvi, dataset)`.
#' * Further covariates ([GeneExpressionDataset()]), `encode_covariates`, `library = "observed"` and `"residual"`,
#'   `dispersion_start`, `library_start` and `normalisation` of all models, `scale_start` of those with a deep decoder
#'   ([VAE()]); `max_kl_weight`, `lr_schedule`, `lr_dispersion`, `n_iter_fixed_dispersion`, `free_bits`,
#'   `precision` and `step_graph` of trainers ([UnsupervisedTrainer()]); new cells on a trained model ([map_query()]).
#'   A posterior takes a data set that has some of the model's batches, labels or covariate levels, by name.
#' * Labels may be `NA`, for cells whose label is not known; `SCANVI(from = vae)`; [runSCANVI()]; labels by neighbours
#'   and classifier ([transfer_labels()]); names in [compute_predictions()] and [get_loadings()]; accuracy as a metric
#'   of early stopping.
#' * `train_indices` and `test_indices` of a trainer; [clone()] of a model; [runSCVI()],
#'   which has defaults of its own ([recommended_defaults]).
#' * Scores of plain matrices, to hold other embeddings against scVI's; the exact [entropy_batch_mixing()] with
#'   `n_pools = Inf`; pictures coloured by any column or gene; [plot_history()].
#'
#' # Left out
#' * `benchmark` of trainers (leave out `frequency`), `normalize_loss` (the loss is the mean over cells, as there by
#'   default) and `params` of [train()], which trains what the trainer is for:
#'   [AdapterTrainer()] the encoders, [ClassifierTrainer()] a classifier, others all parameters.
#' * `gene_list` and `library_size` of [scale_sampler()] and of differential expression, which 0.6.8 hands through:
#'   choose rows or columns of what comes back.
#' * 0.6.8's own pickled files: [save_posterior()] writes an open format.
#'
#' # Kept, although surprising
#' * [elbo()] and [marginal_ll()] are *negative* log-likelihoods: smaller is better.
#' * The divergence of the library size is part of the first term of the loss and is never annealed.
#' * The library prior is computed from all cells, test cells included.
#' * Adam's epsilon is 0.01. The first epoch of a KL warm-up by epochs has weight 0.
#' * `prediction_algorithm = "knn"` of [clustering_scores()] is k-means.
#' * Early stopping counts a gain below `threshold` = 3 nats as none.
#' @name differences
#' @aliases differences-from-scvi-0.6.8
NULL
