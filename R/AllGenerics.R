# All S4 generics of the package. Each is documented where its methods are.

# data set ------------------------------------------------------------------------------------------------------------

#' @rdname GeneExpressionDataset
#' @export
setGeneric("GeneExpressionDataset", signature = "x",
    function(x, batch = NULL, labels = NULL, proteins = NULL, assay.type = "counts", gene_names = NULL,
             cell_names = NULL, empty_cells = c("error", "keep", "drop"), assay = NULL, ...) {
        standardGeneric("GeneExpressionDataset")
    })

#' @rdname dataset-accessors
#' @export
setGeneric("nb_cells", function(x) standardGeneric("nb_cells"))

#' @rdname dataset-accessors
#' @export
setGeneric("nb_genes", function(x) standardGeneric("nb_genes"))

#' @rdname dataset-accessors
#' @export
setGeneric("n_batches", function(x) standardGeneric("n_batches"))

#' @rdname dataset-accessors
#' @export
setGeneric("n_labels", function(x) standardGeneric("n_labels"))

#' @rdname dataset-accessors
#' @export
setGeneric("gene_names", function(x) standardGeneric("gene_names"))

#' @rdname dataset-accessors
#' @export
setGeneric("cell_names", function(x) standardGeneric("cell_names"))

#' @rdname dataset-accessors
#' @export
setGeneric("batch_indices", function(x) standardGeneric("batch_indices"))

# base::labels is an S3 generic: it stays the default method, so that its own methods (dendrogram, terms) keep working.
#' @rdname dataset-accessors
#' @export
setGeneric("labels")

#' @rdname dataset-accessors
#' @export
setGeneric("cell_types", function(x) standardGeneric("cell_types"))

#' @rdname dataset-accessors
#' @export
setGeneric("local_means", function(x) standardGeneric("local_means"))

#' @rdname dataset-accessors
#' @export
setGeneric("local_vars", function(x) standardGeneric("local_vars"))

#' @rdname dataset-accessors
#' @export
setGeneric("library_prior", function(x) standardGeneric("library_prior"))

#' @rdname dataset-accessors
#' @export
setGeneric("cell_data", function(x) standardGeneric("cell_data"))

#' @rdname dataset-accessors
#' @export
setGeneric("proteins", function(x) standardGeneric("proteins"))

# end of: data set ----------------------------------------------------------------------------------------------------

# trainers and posteriors ---------------------------------------------------------------------------------------------

#' Train a model
#'
#' Minimises the mean over the training cells of \eqn{reconst\_loss + kl\_l + w\, kl\_z} (see [loss_terms()]), w the
#' warm-up weight, with Adam. Each epoch visits the cells in a new random order.
#'
#' Training stops cleanly on Ctrl-C (or RStudio's stop button): the minibatch in work is finished, the model and the
#' trainer are as they then are, and a warning says in which epoch. If the loss stays NaN or infinite, or the weights
#' become so, the model is put back to the end of the last sound epoch and an error says in which epoch it broke.
#'
#' Training again goes on from the weights as they are, with a new optimiser and a new warm-up by epochs.
#'
#' @param trainer a trainer, see [UnsupervisedTrainer()]; **it and its model are changed in place**.
#' @param n_epochs number of epochs; `NULL` picks `min(400, round(400 * 20000 / n))` for n cells.
#' @param lr,eps learning rate and epsilon of Adam. The epsilon is unusually large, as in scvi.
#' @param seed integer that decides the order of the cells, dropout and the draws of the latent variables; `NULL` draws
#'   one from R's generator. The same seed, machine and number of threads give the same weights to the last bit.
#' @param verbose show progress; `NULL`: in interactive sessions, but not while knitting.
#' @return The trainer, invisibly.
#' @section Errors: `rscvi_diverged` if training broke down; `rscvi_invalid_argument`, naming the argument, for the rest.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8, seed = 1), dataset)
#' trainer <- train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
#' history(trainer)$loss
#' @export
setGeneric("train", signature = "trainer",
    function(trainer, n_epochs = 400, lr = 1e-3, eps = 0.01, seed = NULL, verbose = NULL) standardGeneric("train"))

#' @rdname trainer-accessors
#' @param object a trainer or a posterior.
#' @export
setGeneric("model", function(object) standardGeneric("model"))

#' @rdname posterior-accessors
#' @export
setGeneric("indices", function(post) standardGeneric("indices"))

#' @rdname posterior-accessors
#' @export
setGeneric("posterior_type", function(post) standardGeneric("posterior_type"))

#' @rdname posterior-accessors
#' @export
setGeneric("raw_data", function(post) standardGeneric("raw_data"))

#' @rdname posterior-changes
#' @export
setGeneric("sequential", function(post, batch_size = 128) standardGeneric("sequential"))

#' @rdname posterior-changes
#' @export
setGeneric("corrupted", function(post) standardGeneric("corrupted"))

#' @rdname posterior-changes
#' @export
setGeneric("uncorrupted", function(post) standardGeneric("uncorrupted"))

#' @rdname posterior-changes
#' @export
setGeneric("update_sampler_indices", function(post, idx) standardGeneric("update_sampler_indices"))

#' @rdname posterior-changes
#' @export
setGeneric("update")

#' @rdname for_each_minibatch
#' @export
setGeneric("for_each_minibatch", function(post, FUN, seed = NULL) standardGeneric("for_each_minibatch"))

#' @rdname get_latent
#' @export
setGeneric("get_latent", signature = "post",
    function(post, give_mean = TRUE, n_samples = 5000, noise = NULL, seed = NULL) standardGeneric("get_latent"))

#' @rdname get_stats
#' @export
setGeneric("get_stats", signature = "post", function(post, noise = NULL, seed = NULL) standardGeneric("get_stats"))

#' @rdname elbo
#' @export
setGeneric("elbo", signature = "post", function(post, noise = NULL, seed = NULL) standardGeneric("elbo"))

#' @rdname elbo
#' @export
setGeneric("reconstruction_error", signature = "post",
    function(post, noise = NULL, seed = NULL) standardGeneric("reconstruction_error"))

#' @rdname elbo
#' @export
setGeneric("marginal_ll", signature = "post",
    function(post, n_mc_samples = 1000, noise = NULL, seed = NULL) standardGeneric("marginal_ll"))

#' @rdname get_sample_scale
#' @export
setGeneric("get_sample_scale", signature = "post",
    function(post, transform_batch = NULL, gene_list = NULL, library_size = 1, return_df = NULL, n_samples = 1,
             return_mean = TRUE, noise = NULL, seed = NULL) standardGeneric("get_sample_scale"))

#' @rdname fitted-posterior
#' @export
setGeneric("posterior", signature = "object",
    function(object, name = "SCVI", set = c("all", "train_set", "test_set", "validation_set"))
        standardGeneric("posterior"))

#' @rdname runSCVI
#' @export
setGeneric("runSCVI", signature = "x", function(x, ...) standardGeneric("runSCVI"))

# end of: trainers and posteriors -------------------------------------------------------------------------------------

# saving --------------------------------------------------------------------------------------------------------------

#' @rdname save_posterior
#' @export
setGeneric("save_posterior", signature = "post", function(post, dir) standardGeneric("save_posterior"))

#' @rdname posterior-changes
#' @export
setGeneric("to_cuda", signature = "post", function(post, ...) standardGeneric("to_cuda"))

# end of: saving ------------------------------------------------------------------------------------------------------
