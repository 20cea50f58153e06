# All S4 classes. What an object *is* is plain R data, so that it survives saveRDS(), forking and SnowParam workers;
# external pointers to the core are caches, kept in environments and rebuilt on first use (see handles.R).

setClassUnion("numericOrNULL", c("numeric", "NULL"))
setClassUnion("matrixOrNULL", c("matrix", "NULL"))
setClassUnion("logicalOrNULL", c("logical", "NULL"))
setClassUnion("characterOrNULL", c("character", "NULL"))

#' The data set of a model: counts, batches, labels and the library-size prior
#'
#' Made by [GeneExpressionDataset()]; read with the accessors on that page.
#'
#' @slot counts `dgCMatrix` of raw counts, genes x cells, with dimnames. Column-compressed, so it is at the same time
#'   the cell-major matrix that the core reads in place.
#' @slot corrupted `NULL`, or the `x` slot of the corrupted counts (same sparsity pattern as `counts`); see [corrupt()].
#' @slot batch,labels factors, one element a cell, without unused levels.
#' @slot local_means,local_vars mean and variance of the log library size of the cell's batch, one element a cell,
#'   rounded to single precision.
#' @slot covariates a `DataFrame` of further covariates: factors, and numbers.
#' @slot proteins `NULL`, or a cells x proteins matrix.
#' @slot cell_data a `DataFrame` with what else is known of each cell.
#' @slot version version of the package that made the object.
#' @slot cache environment that holds the core's handle.
#' @aliases GeneExpressionDataset-class
#' @importClassesFrom Matrix dgCMatrix
#' @importClassesFrom S4Vectors DFrame
#' @exportClass GeneExpressionDataset
setClass("GeneExpressionDataset",
    slots = c(
        counts = "dgCMatrix", corrupted = "numericOrNULL",
        batch = "factor", labels = "factor",
        local_means = "numeric", local_vars = "numeric", covariates = "DFrame",
        proteins = "matrixOrNULL", cell_data = "DFrame",
        version = "character", cache = "environment"
    )
)

#' Models
#'
#' A model holds how it was built (`options`) and its weights. It has **reference semantics**: training it, or loading a
#' state into it, changes it wherever it is used, so that a [Posterior()] made before training sees the trained weights,
#' as in scvi 0.6.8. [clone()] makes an independent copy.
#'
#' @slot options list of the arguments that the model was built with.
#' @slot genes,batch_levels,label_levels names of the genes, batches and labels of the data set that the model was made
#'   for, or `NULL`s if it was made from numbers.
#' @slot state environment with `weights`, the state as plain R arrays, and the core's handle.
#' @slot version version of the package that made the object.
#' @aliases SCVIModel-class VAE-class LDVAE-class VAEC-class SCANVI-class Classifier-class show,SCVIModel-method
#'   show,Classifier-method
#' @name SCVIModel-class
#' @exportClass SCVIModel
setClass("SCVIModel",
    slots = c(
        options = "list", genes = "characterOrNULL", batch_levels = "characterOrNULL",
        label_levels = "characterOrNULL", state = "environment", version = "character"
    ),
    contains = "VIRTUAL"
)

#' @rdname SCVIModel-class
#' @exportClass VAE
setClass("VAE", contains = "SCVIModel")

#' @rdname SCVIModel-class
#' @exportClass LDVAE
setClass("LDVAE", contains = "SCVIModel")

# Those with a classifier.
setClass("LabelledModel", contains = c("SCVIModel", "VIRTUAL"))

#' @rdname SCVIModel-class
#' @exportClass VAEC
setClass("VAEC", contains = "LabelledModel")

#' @rdname SCVIModel-class
#' @exportClass SCANVI
setClass("SCANVI", contains = "LabelledModel")

#' @rdname SCVIModel-class
#' @exportClass Classifier
setClass("Classifier", contains = "SCVIModel")

setClassUnion("SCVIModelOrNULL", c("SCVIModel", "NULL"))

#' A trainer and its sets of cells
#'
#' Made by [UnsupervisedTrainer()]. Like its model, a trainer has **reference semantics**: [train()] changes it in place
#' (and returns it).
#'
#' @slot model the model that is trained.
#' @slot gene_dataset the data set.
#' @slot options list of the arguments that the trainer was made with.
#' @slot sets named list of cells (1-based indices): `train_set`, `test_set`, `validation_set`; of semi-supervised
#'   trainers `full_dataset`, `labelled_set`, `unlabelled_set`.
#' @slot state environment with `history` (data.frame), `n_iter` (minibatches so far) and `corrupted`.
#' @slot sampling_model of a [ClassifierTrainer()]: the model that places the cells, or `NULL`.
#' @slot version version of the package that made the object.
#' @aliases Trainer-class UnsupervisedTrainer-class SemiSupervisedTrainer-class
#'   JointSemiSupervisedTrainer-class AlternateSemiSupervisedTrainer-class ClassifierTrainer-class
#'   AdapterTrainer-class show,Trainer-method
#' @name Trainer-class
#' @exportClass Trainer
setClass("Trainer",
    slots = c(
        model = "SCVIModel", gene_dataset = "GeneExpressionDataset", options = "list", sets = "list",
        state = "environment", version = "character"
    ),
    contains = "VIRTUAL"
)

#' @rdname Trainer-class
#' @exportClass UnsupervisedTrainer
setClass("UnsupervisedTrainer", contains = "Trainer")

#' @rdname Trainer-class
#' @exportClass SemiSupervisedTrainer
setClass("SemiSupervisedTrainer", contains = "Trainer")

#' @rdname Trainer-class
#' @exportClass JointSemiSupervisedTrainer
setClass("JointSemiSupervisedTrainer", contains = "SemiSupervisedTrainer")

#' @rdname Trainer-class
#' @exportClass AlternateSemiSupervisedTrainer
setClass("AlternateSemiSupervisedTrainer", contains = "SemiSupervisedTrainer")

#' @rdname Trainer-class
#' @exportClass ClassifierTrainer
setClass("ClassifierTrainer", contains = "Trainer", slots = c(sampling_model = "SCVIModelOrNULL"))

#' @rdname Trainer-class
#' @exportClass AdapterTrainer
setClass("AdapterTrainer", contains = "Trainer")

#' A model, a data set and some of its cells
#'
#' Made by [Posterior()] or taken from a trainer ([train_set()]). A posterior is a value: [update()] and its companions
#' return a new one. Its model is shared (see [SCVIModel-class]).
#'
#' @slot model the model.
#' @slot gene_dataset the data set.
#' @slot indices the cells, 1-based, in the order of all results.
#' @slot shuffle whether [for_each_minibatch()] visits the cells in a new random order each time.
#' @slot use_cuda `NULL`, `TRUE` or `FALSE`, see [Posterior()].
#' @slot data_loader_kwargs list with `batch_size`.
#' @slot use_corrupted whether the corrupted counts are read, see [corrupted()].
#' @slot version version of the package that made the object.
#' @slot sampling_model,sampling_zl of a [ClassifierPosterior()]: what the classifier sees of the cells.
#' @aliases Posterior-class ClassifierPosterior-class show,Posterior-method show,ClassifierPosterior-method
#' @name Posterior-class
#' @exportClass Posterior
setClass("Posterior",
    slots = c(
        model = "SCVIModel", gene_dataset = "GeneExpressionDataset", indices = "integer", shuffle = "logical",
        use_cuda = "logicalOrNULL", data_loader_kwargs = "list", use_corrupted = "logical", version = "character"
    )
)

#' @rdname Posterior-class
#' @exportClass ClassifierPosterior
setClass("ClassifierPosterior", contains = "Posterior",
    slots = c(sampling_model = "SCVIModelOrNULL", sampling_zl = "logical"))

#' Several fits of one model to the same cells
#'
#' Made by [scvi_ensemble()].
#'
#' @slot posteriors list of [Posterior-class] objects of the same cells and genes.
#' @slot seeds the seed of each fit; `NA` for those that were given.
#' @slot version version of the package that made the object.
#' @aliases SCVIEnsemble-class show,SCVIEnsemble-method
#' @name SCVIEnsemble-class
#' @exportClass SCVIEnsemble
setClass("SCVIEnsemble", slots = c(posteriors = "list", seeds = "numeric", version = "character"))
