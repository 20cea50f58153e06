#' All methods of scvi's Posterior, and where they are
#'
#' Every public method, property and attribute of the class `Posterior` of scvi 0.6.8 (`inference/posterior.py`) and
#' what it is in rscvi. Names and arguments are those of 0.6.8; `post.method(...)` there is `method(post, ...)` here.
#' Most methods take a `seed` besides. [differences] says what else differs, each method's own page has the details.
#'
#' # Which model, data and cells
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `Posterior(...)` | [Posterior()] | trainers make them: [train_set()], [create_posterior()] |
#' | `model` | [model()] | |
#' | `gene_dataset` | `post@gene_dataset` | a [GeneExpressionDataset()] |
#' | `indices` | [indices()] | from 1; `original_indices` is the same, as a posterior never changes |
#' | `nb_cells` | [nb_cells()] | |
#' | `posterior_type` | [posterior_type()] | |
#' | `to_monitor` | [UnsupervisedTrainer()] | its argument `metrics_to_monitor`, for all its posteriors |
#' | `raw_data()` | [raw_data()] | |
#' | iteration | [for_each_minibatch()] | |
#' | `sequential()` | [sequential()] | results are in the order of `indices` without it, too |
#' | `update()` | [update()] | |
#' | `update_sampler_indices()` | [update_sampler_indices()] | returns a new posterior |
#' | `corrupted()` | [corrupted()] | |
#' | `uncorrupted()` | [uncorrupted()] | |
#' | `to_cuda()` | [to_cuda()] | returns a posterior, where 0.6.8 moves tensors |
#' | `save_posterior()` | [save_posterior()] | `load_posterior()` is [load_posterior()] |
#'
#' # Latent space and likelihood
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `get_latent()` | [get_latent()] | [latent_matrix()] for the coordinates alone |
#' | `get_stats()` | [get_stats()] | log library sizes |
#' | `elbo()` | [elbo()] | negative: smaller is better |
#' | `reconstruction_error()` | [reconstruction_error()] | |
#' | `marginal_ll()` | [marginal_ll()] | negative: smaller is better |
#'
#' # Expression
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `get_sample_scale()` | [get_sample_scale()] | |
#' | `imputation()` | [imputation()] | |
#' | `imputation_list()` | [imputation_list()] | one table for two lists |
#' | `imputation_score()` | [imputation_score()] | |
#' | `imputation_benchmark()` | [imputation_benchmark()] | |
#' | `generate()` | [generate()] | |
#' | `generate_denoised_samples()` | [generate_denoised_samples()] | |
#' | `generate_feature_correlation_matrix()` | [generate_feature_correlation_matrix()] | |
#' | `generate_parameters()` | [generate_parameters()] | |
#'
#' # Differential expression
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `scale_sampler()` | [scale_sampler()] | |
#' | `get_bayes_factors()` | [get_bayes_factors()] | [bayes_factors_from_scales()] for samples of your own |
#' | `differential_expression_score()` | [differential_expression_score()] | |
#' | `one_vs_all_degenes()` | [one_vs_all_degenes()] | one named list of tables |
#' | `within_cluster_degenes()` | [within_cluster_degenes()] | one named list of tables |
#' | `differential_expression_stats()` | [differential_expression_stats()] | deprecated, as in 0.6.8 |
#'
#' # Scores and pictures
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `entropy_batch_mixing()` | [entropy_batch_mixing()] | of two batches and more |
#' | `knn_purity()` | [knn_purity()] | |
#' | `clustering_scores()` | [clustering_scores()] | |
#' | `nn_overlap_score()` | [nn_overlap_score()] | |
#' | `accuracy()` | [accuracy()] | of models with a classifier; an error for others (there `None`) |
#' | `show_t_sne()` | [show_t_sne()] | returns a ggplot |
#' | `apply_t_sne()` | [apply_t_sne()] | |
#'
#' # Labels: `AnnotationPosterior`
#' | scvi 0.6.8 | rscvi | |
#' |:-----------|:------|:-|
#' | `sampling_model`, `model_zl` | [ClassifierPosterior()] | of a [Classifier()]; other models need neither |
#' | `compute_predictions()` | [compute_predictions()] | also [predict()] |
#' | `hierarchical_accuracy()` | [hierarchical_accuracy()] | of the groups |
#' | `unsupervised_classification_accuracy()` | [unsupervised_classification_accuracy()] | |
#' | `nn_latentspace()` | [nn_latentspace()] | |
#'
#' Beyond 0.6.8: [diagnose()] says whether to believe a fit, [scvi_ensemble()] what several agree on;
#' [transfer_labels()] carries known labels over to the other cells; [map_query()] gives a posterior of new cells on the
#' same model, [cell_data()] what else is known of cells.
#' @name posterior-methods
NULL
