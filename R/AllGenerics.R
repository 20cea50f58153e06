# All S4 generics of the package. Each is documented where its methods are.

# data set ------------------------------------------------------------------------------------------------------------

#' @rdname GeneExpressionDataset
#' @export
setGeneric("GeneExpressionDataset", signature = "x",
    function(x, batch = NULL, labels = NULL, proteins = NULL, assay.type = "counts", gene_names = NULL,
             cell_names = NULL, empty_cells = c("error", "keep", "drop"), assay = NULL, covariates = NULL, ...) {
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

#' @rdname dataset-accessors
#' @export
setGeneric("covariates", function(x) standardGeneric("covariates"))

# end of: data set ----------------------------------------------------------------------------------------------------

# trainers and posteriors ---------------------------------------------------------------------------------------------

#' Train a model
#'
#' Minimises the mean over the training cells of \eqn{reconst\_loss + kl\_l + w\, kl\_z} (see [loss_terms()]), w the
#' warm-up weight, with Adam; or what the trainer's page says. Each epoch visits the cells in a new random order.
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
#' @param ... of an [AdapterTrainer()]: `n_path`.
#' @return The trainer, invisibly; of an [AdapterTrainer()] a number, see there.
#' @section Errors: `rscvi_diverged` if training broke down; `rscvi_invalid_argument`, naming the argument, for the
#'   rest.
#' @examples
#' dataset <- subsample_genes(GeneExpressionDataset(example_pbmc()), new_n_genes = 50, mode = "variance")
#' trainer <- UnsupervisedTrainer(VAE(dataset, n_hidden = 8, seed = 1), dataset)
#' trainer <- train(trainer, n_epochs = 3, lr = 1e-2, seed = 1)
#' history(trainer)$loss
#' @export
setGeneric("train", signature = "trainer",
    function(trainer, n_epochs = 400, lr = 1e-3, eps = 0.01, seed = NULL, verbose = NULL, ...) {
        standardGeneric("train")
    })

#' @rdname trainer-accessors
#' @param object a trainer or a posterior.
#' @export
setGeneric("model", function(object) standardGeneric("model"))

# As labels: the commands of the session stay what history() shows for anything but a trainer.
#' @rdname trainer-accessors
#' @export
setGeneric("history")

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
    function(object, name = NULL, set = c("all", "train_set", "test_set", "validation_set"))
        standardGeneric("posterior"))

#' @rdname runSCVI
#' @export
setGeneric("runSCVI", signature = "x", function(x, ...) standardGeneric("runSCVI"))

#' @rdname runSCANVI
#' @export
setGeneric("runSCANVI", signature = "x", function(x, ...) standardGeneric("runSCANVI"))

# end of: trainers and posteriors -------------------------------------------------------------------------------------

# differential expression ---------------------------------------------------------------------------------------------

#' @rdname differential_expression_score
#' @export
setGeneric("get_bayes_factors", signature = "post", function(
    post, idx1 = NULL, idx2 = NULL, mode = "vanilla", batchid1 = NULL, batchid2 = NULL, use_observed_batches = FALSE,
    n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, change_fn = NULL, m1_domain_fn = NULL,
    delta = 0.5, cred_interval_lvls = NULL, pseudocounts = NULL, fdr_target = NULL, group1 = NULL, group2 = NULL,
    seed = NULL
) standardGeneric("get_bayes_factors"))

#' @rdname differential_expression_score
#' @export
setGeneric("differential_expression_score", signature = "post", function(
    post, idx1 = NULL, idx2 = NULL, mode = "vanilla", batchid1 = NULL, batchid2 = NULL, use_observed_batches = FALSE,
    n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, all_stats = TRUE, change_fn = NULL,
    m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL, pseudocounts = NULL, fdr_target = NULL,
    group1 = NULL, group2 = NULL, seed = NULL
) standardGeneric("differential_expression_score"))

#' @rdname one_vs_all_degenes
#' @export
setGeneric("one_vs_all_degenes", signature = "post", function(
    post, subset = NULL, cell_labels = NULL, use_observed_batches = FALSE, min_cells = 10, n_samples = 5000,
    use_permutation = FALSE, M_permutation = 10000, output_file = FALSE, mode = "vanilla", change_fn = NULL,
    m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL, save_dir = "./", filename = "one2all",
    pseudocounts = NULL, fdr_target = NULL, seed = NULL
) standardGeneric("one_vs_all_degenes"))

#' @rdname one_vs_all_degenes
#' @export
setGeneric("within_cluster_degenes", signature = "post", function(
    post, states, cell_labels = NULL, min_cells = 10, batch1 = NULL, batch2 = NULL, use_observed_batches = FALSE,
    subset = NULL, n_samples = 5000, use_permutation = FALSE, M_permutation = 10000, output_file = FALSE,
    mode = "vanilla", change_fn = NULL, m1_domain_fn = NULL, delta = 0.5, cred_interval_lvls = NULL,
    save_dir = "./", filename = "within_cluster", pseudocounts = NULL, fdr_target = NULL, seed = NULL
) standardGeneric("within_cluster_degenes"))

# end of: differential expression -------------------------------------------------------------------------------------

# scores and pictures -------------------------------------------------------------------------------------------------

#' @rdname entropy_batch_mixing
#' @export
setGeneric("entropy_batch_mixing", function(x, ...) standardGeneric("entropy_batch_mixing"))

#' @rdname knn_purity
#' @export
setGeneric("knn_purity", function(x, ...) standardGeneric("knn_purity"))

#' @rdname nn_overlap_score
#' @export
setGeneric("nn_overlap_score", function(x, ...) standardGeneric("nn_overlap_score"))

#' @rdname clustering_scores
#' @export
setGeneric("clustering_scores", function(x, ...) standardGeneric("clustering_scores"))

#' @rdname accuracy
#' @export
setGeneric("accuracy", function(post) standardGeneric("accuracy"))

#' @rdname accuracy
#' @export
setGeneric("hierarchical_accuracy", function(post) standardGeneric("hierarchical_accuracy"))

#' @rdname accuracy
#' @export
setGeneric("compute_predictions", function(post, soft = FALSE) standardGeneric("compute_predictions"))

#' @rdname accuracy
#' @export
setGeneric("unsupervised_classification_accuracy",
    function(post) standardGeneric("unsupervised_classification_accuracy"))

#' @rdname accuracy
#' @export
setGeneric("nn_latentspace", signature = "post", function(post, other) standardGeneric("nn_latentspace"))

#' @rdname transfer_labels
#' @export
setGeneric("transfer_labels", signature = "post",
    function(post, k = 15, alpha = 0.8, shares = TRUE, soft = FALSE) standardGeneric("transfer_labels"))

#' @rdname map_query
#' @export
setGeneric("map_query", signature = "post",
    function(post, x, batch = NULL, labels = NULL, covariates = NULL, assay.type = "counts", n_epochs = 50, lr = 1e-3,
             k = 15, seed = NULL, verbose = NULL, ...) standardGeneric("map_query"))

#' @importFrom stats predict
#' @export
setGeneric("predict")

#' @rdname show_t_sne
#' @export
setGeneric("show_t_sne", signature = "post",
    function(post, n_samples = 1000, color_by = "", save_name = "", latent = NULL, batch_indices = NULL, labels = NULL,
             n_batch = NULL, seed = NULL) standardGeneric("show_t_sne"))

# end of: scores and pictures -----------------------------------------------------------------------------------------

# expression and generation -------------------------------------------------------------------------------------------

#' @rdname imputation
#' @export
setGeneric("imputation", signature = "post",
    function(post, n_samples = 1, transform_batch = NULL, gene_list = NULL, noise = NULL, seed = NULL)
        standardGeneric("imputation"))

#' @rdname generate
#' @export
setGeneric("generate", signature = "post",
    function(post, n_samples = 100, genes = NULL, batch_size = 128, transform_batch = NULL, noise = NULL,
             seed = NULL) standardGeneric("generate"))

#' @rdname generate_denoised_samples
#' @export
setGeneric("generate_denoised_samples", signature = "post",
    function(post, n_samples = 25, batch_size = 64, rna_size_factor = 1000, transform_batch = NULL, genes = NULL,
             noise = NULL, seed = NULL) standardGeneric("generate_denoised_samples"))

#' @rdname generate_feature_correlation_matrix
#' @export
setGeneric("generate_feature_correlation_matrix", signature = "post",
    function(post, n_samples = 10, batch_size = 64, rna_size_factor = 1000, transform_batch = NULL,
             correlation_type = "spearman", genes = NULL, noise = NULL, seed = NULL)
        standardGeneric("generate_feature_correlation_matrix"))

#' @rdname generate_parameters
#' @export
setGeneric("generate_parameters", signature = "post",
    function(post, n_samples = 1, give_mean = FALSE, unused = FALSE, noise = NULL, seed = NULL)
        standardGeneric("generate_parameters"))

#' @rdname imputation_list
#' @export
setGeneric("imputation_list", signature = "post",
    function(post, n_samples = 1, noise = NULL, seed = NULL) standardGeneric("imputation_list"))

#' @rdname imputation_list
#' @export
setGeneric("imputation_score", signature = "x",
    function(x, n_samples = 1, noise = NULL, seed = NULL) standardGeneric("imputation_score"))

#' @rdname imputation_list
#' @export
setGeneric("imputation_benchmark", signature = "post",
    function(post, n_samples = 8, show_plot = TRUE, title_plot = "imputation", save_path = "", noise = NULL,
             seed = NULL) standardGeneric("imputation_benchmark"))

# end of: expression and generation -----------------------------------------------------------------------------------

# saving --------------------------------------------------------------------------------------------------------------

#' @rdname save_posterior
#' @export
setGeneric("save_posterior", signature = "post", function(post, dir) standardGeneric("save_posterior"))

#' @rdname posterior-changes
#' @export
setGeneric("to_cuda", signature = "post", function(post, ...) standardGeneric("to_cuda"))

# end of: saving ------------------------------------------------------------------------------------------------------

# is a fit to be believed ---------------------------------------------------------------------------------------------

#' @rdname diagnose
#' @export
setGeneric("diagnose", signature = "x", function(x, ...) standardGeneric("diagnose"))

#' @rdname scvi_ensemble
#' @export
setGeneric("scvi_ensemble", signature = "x", function(x, ...) standardGeneric("scvi_ensemble"))

# end of: is a fit to be believed -------------------------------------------------------------------------------------
