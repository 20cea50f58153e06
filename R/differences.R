#' Differences from scvi 0.6.8
#'
#' rscvi reproduces the numbers of scvi 0.6.8 (its tests hold them to 1e-4 with the same weights and noise), with its
#' names and defaults, except for the following.
#'
#' # Mistakes that are mended
#' * **The best state is kept.** `save_best_state_metric` there keeps a reference to the live weights, so that it restores
#'   nothing; here it is a copy ([UnsupervisedTrainer()]).
#' * **Early stopping works without `frequency`**: its metric is computed after every epoch.
#' * **A KL warm-up of 0** means none; there it divides by zero.
#' * **Large inverse dispersions.** There the single-precision difference of two log-gamma functions is off by more than a
#'   nat at \eqn{\theta = 10^6}; here no such difference is ever formed ([log_nb()]).
#' * **Rates that underflow to 0** do not turn the likelihood into NaN.
#' * **Order.** Results of a posterior with `indices` come there in a new random order on each call; here always in the
#'   order of `indices`.
#' * **Results do not depend on what was asked before**: a posterior is a value, nothing in it is changed by a method.
#' * **A posterior without settings** computes 128 cells at a time (there 1), and on the CPU if there is no GPU (there an
#'   error).
#' * **Unknown genes, batches and settings** are errors; there `gene_list` and `transform_batch` ignore some of them
#'   without a word.
#' * **An unknown corruption method** leaves the data set as it was.
#' * **Saving keeps everything.** There [load_posterior()] renumbers the labels in order of appearance, drops cells
#'   without counts but not their indices, needs the model built anew by hand, and visits the cells in random order.
#' * **A diverged model** is put back to the end of the last sound epoch.
#'
#' # Habits of R
#' * Indices and codes are 1-based; batches and labels are factors and are asked for by name. Masks and names work
#'   wherever indices do. Data sets are made from genes x cells; what the methods return is cells x genes, as in 0.6.8.
#' * Tables are data.frames with names: [get_latent()], [history()], [loss_terms()].
#' * `set.seed()` decides all randomness unless a `seed` is given.
#' * A posterior and a data set are values: [update()], [corrupted()], [update_sampler_indices()], [corrupt()] return new
#'   ones, as does [to_cuda()], which there moved a list of tensors. Models and trainers have reference semantics, as in
#'   Python.
#' * Empty cells and batches of a single cell are errors at construction (`empty_cells = "keep"` is 0.6.8's way).
#'
#' # Beyond 0.6.8
#' * [marginal_ll()] works for the logistic normal latent distribution.
#' * [save_model()], [load_model()] and [read_safetensors()]: weights in files that Python reads and writes, too. The
#'   files of [save_posterior()] are of that format, not of 0.6.8's, and loading them runs no code.
#' * `train_indices` and `test_indices` of a trainer; [clone()] of a model; [runSCVI()].
#'
#' # Kept, although surprising
#' * [elbo()] and [marginal_ll()] are *negative* log-likelihoods: smaller is better.
#' * The divergence of the library size is part of the first term of the loss and is never annealed.
#' * The library prior is computed from all cells, test cells included.
#' * Adam's epsilon is 0.01. The first epoch of a KL warm-up by epochs has weight 0.
#' * Early stopping counts a gain below `threshold` = 3 nats as none.
#' @name differences
#' @aliases differences-from-scvi-0.6.8
NULL
