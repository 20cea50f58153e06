# The posterior itself: its cells and their order, other batch sizes, counts and cells, iteration, refusals.

dataset <- small_dataset()
model <- small_model(dataset, dispersion = "gene-batch")
train(UnsupervisedTrainer(model, dataset), n_epochs = 5, lr = 1e-2, seed = 1)
post_of <- function(...) Posterior(model, dataset, ...)
x <- t(as.matrix(counts(dataset)))

test_that("the defaults are those of 0.6.8, but for what it gets wrong", {
    given <- formals(Posterior)
    expect_identical(names(given),
        c("model", "gene_dataset", "shuffle", "indices", "use_cuda", "data_loader_kwargs"))
    expect_false(given$shuffle)
    expect_null(given$indices)
    # There TRUE, which fails without a GPU, and a batch size of 1.
    expect_null(given$use_cuda)
    expect_identical(post_of()@data_loader_kwargs$batch_size, 128L)
    expect_identical(formals(sequential)$batch_size, 128)
})

test_that("cells are chosen by nothing, mask, index or name, and keep the order in which they are given", {
    all_cells <- post_of()
    expect_identical(indices(all_cells), 1:60)
    expect_identical(nb_cells(all_cells), 60L)
    expect_identical(posterior_type(all_cells), "Posterior")
    expect_identical(model(all_cells), model)
    mask <- batch_indices(dataset) == "b"
    expect_identical(indices(post_of(indices = mask)), seq(2L, 60L, 2L))
    expect_identical(indices(post_of(indices = c(9, 2, 60))), c(9L, 2L, 60L))
    expect_identical(indices(post_of(indices = c("cell9", "cell2", "cell9"))), c(9L, 2L, 9L))
    expect_identical(nb_cells(post_of(indices = integer(0))), 0L)
})

test_that("every answer has a row a cell in the order of `indices`, repeats included", {
    cells <- c(41, 3, 3, 60, 1, 41)
    post <- post_of(indices = cells)
    names <- c("cell41", "cell3", "cell3.1", "cell60", "cell1", "cell41.1")
    latent <- get_latent(post)
    expect_identical(rownames(latent), names)
    expect_identical(latent$batch, batch_indices(dataset)[cells])
    expect_identical(latent$labels, labels(dataset)[cells])
    expect_close(latent_matrix(post), latent_matrix(post_of())[cells, ], 1e-5, floor = 1)
    expect_identical(rownames(latent_matrix(post)), names)
    expect_identical(names(get_stats(post, seed = 1)), names)
    expect_identical(dimnames(get_sample_scale(post, seed = 1)), list(names, gene_names(dataset)))
    expect_equal(raw_data(post)$X, Matrix::t(counts(dataset))[cells, ])
    expect_identical(raw_data(post)$labels, labels(dataset)[cells])
    # With draws that belong to the cells, the answers do too.
    noise <- withr::with_seed(1, list(z = matrix(stats::rnorm(60 * 3), 60), library = matrix(stats::rnorm(60), 60)))
    of <- function(i) lapply(noise, function(e) e[i, , drop = FALSE])
    expect_close(get_stats(post, noise = of(cells)), get_stats(post_of(), noise = noise)[cells], 1e-5, floor = 1)
    expect_close(get_sample_scale(post, noise = of(cells)), get_sample_scale(post_of(), noise = noise)[cells, ],
        1e-5, floor = 1)
    each <- vapply(cells, function(i) elbo(post_of(indices = i), noise = of(i)), 0)
    expect_close(elbo(post, noise = of(cells)), mean(each), 1e-5, floor = 1)
})

test_that("answers do not depend on the batch size, the shuffling, nor on how the counts are stored", {
    noise <- withr::with_seed(1, list(z = matrix(stats::rnorm(60 * 3), 60), library = matrix(stats::rnorm(60), 60)))
    many <- withr::with_seed(2, {
        list(z = array(stats::rnorm(4 * 60 * 3), c(4, 60, 3)), library = matrix(stats::rnorm(240), 4))
    })
    answers <- function(post) {
        list(latent = latent_matrix(post), draw = latent_matrix(post, give_mean = FALSE, noise = noise),
            library = get_stats(post, noise = noise), scale = get_sample_scale(post, noise = noise),
            scales = get_sample_scale(post, n_samples = 4, noise = many), elbo = elbo(post, noise = noise),
            error = reconstruction_error(post, noise = noise), marginal = marginal_ll(post, 4, noise = many))
    }
    wanted <- answers(post_of())
    # Not to the bit: how a matrix product is summed up depends on its number of rows.
    off <- function(found) max(mapply(function(a, b) max(abs(a - b) / pmax(1, abs(b))), found, wanted))
    for (size in c(1, 7, 59, 1000)) {
        found <- answers(post_of(data_loader_kwargs = list(batch_size = size)))
        expect_lt(off(found), 1e-6)
        expect_identical(answers(update(post_of(), batch_size = size)), found)
        expect_identical(answers(sequential(post_of(), batch_size = size)), found)
    }
    expect_identical(answers(post_of(shuffle = TRUE)), wanted)
    dense <- GeneExpressionDataset(as.matrix(counts(dataset)), batch = batch_indices(dataset), labels = labels(dataset))
    expect_identical(answers(Posterior(model, dense)), wanted)
})

test_that("update and its companions return another posterior and leave the one they are given alone", {
    post <- post_of(indices = 5:14)
    changed <- update(post, batch_size = 3, use_cuda = FALSE)
    expect_identical(changed@data_loader_kwargs$batch_size, 3L)
    expect_false(changed@use_cuda)
    expect_identical(update(changed, use_cuda = NULL)@use_cuda, NULL)
    expect_true(update(post, shuffle = TRUE)@shuffle)
    expect_false(sequential(update(post, shuffle = TRUE))@shuffle)
    expect_identical(sequential(changed)@data_loader_kwargs$batch_size, 128L)
    expect_identical(update(post), post)
    expect_identical(post@data_loader_kwargs$batch_size, 128L)
    moved <- update_sampler_indices(post, c("cell60", "cell60"))
    expect_identical(indices(moved), c(60L, 60L))
    expect_identical(indices(update_sampler_indices(post, rep(c(TRUE, FALSE), 30))), seq(1L, 59L, 2L))
    expect_false(update_sampler_indices(post_of(shuffle = TRUE), 1:3)@shuffle)
    expect_identical(indices(post), 5:14)
    for (p in list(changed, moved)) expect_identical(model(p), model)
})

test_that("corrupted() reads the corrupted counts and uncorrupted() the real ones", {
    expect_error(corrupted(post_of()), "no corrupted counts.*corrupt", class = "rscvi_invalid_argument")
    spoilt <- corrupt(dataset, rate = 0.5, corruption = "binomial", seed = 1)
    post <- Posterior(model, spoilt, indices = 20:50)
    expect_equal(raw_data(post)$X, Matrix::t(counts(dataset))[20:50, ])
    expect_equal(raw_data(corrupted(post))$X, Matrix::t(corrupted_counts(spoilt))[20:50, ])
    # A posterior of a data set whose counts are the corrupted ones.
    twin <- spoilt
    twin@counts <- corrupted_counts(spoilt)
    twin <- Posterior(model, uncorrupt(twin), indices = 20:50)
    expect_identical(latent_matrix(corrupted(post)), latent_matrix(twin))
    expect_identical(elbo(corrupted(post), seed = 1), elbo(twin, seed = 1))
    expect_identical(get_sample_scale(corrupted(post), seed = 1), get_sample_scale(twin, seed = 1))
    expect_identical(marginal_ll(corrupted(post), 5, seed = 1), marginal_ll(twin, 5, seed = 1))
    expect_identical(latent_matrix(uncorrupted(corrupted(post))), latent_matrix(post))
    expect_identical(latent_matrix(post), latent_matrix(post_of(indices = 20:50)))
    expect_gt(max(abs(latent_matrix(post) - latent_matrix(corrupted(post)))), 1e-2)
})

test_that("for_each_minibatch hands out all that a loss needs, in order, and returns what FUN does", {
    cells <- c(9, 2, 60, 2, 31, 17, 44)
    post <- post_of(indices = cells, data_loader_kwargs = list(batch_size = 3))
    seen <- withVisible(for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels) {
        list(x = x, mean = local_l_mean, var = local_l_var, batch = batch_index, labels = labels)
    }))
    expect_false(seen$visible)
    seen <- seen$value
    expect_identical(lapply(seen, function(m) nrow(m$x)), list(3L, 3L, 1L))
    expect_identical(unname(do.call(rbind, lapply(seen, `[[`, "x"))), unname(x[cells, ]))
    expect_identical(rownames(seen[[2]]$x), c("cell2", "cell31", "cell17"))
    expect_identical(colnames(seen[[1]]$x), gene_names(dataset))
    expect_identical(unlist(lapply(seen, `[[`, "mean")), local_means(dataset)[cells])
    expect_identical(unlist(lapply(seen, `[[`, "var")), local_vars(dataset)[cells])
    expect_identical(do.call(c, lapply(seen, `[[`, "batch")), batch_indices(dataset)[cells])
    expect_identical(do.call(c, lapply(seen, `[[`, "labels")), labels(dataset)[cells])
    # So the loss can be computed by hand: the same as the posterior's.
    noise <- withr::with_seed(1, list(z = matrix(stats::rnorm(21), 7), library = matrix(stats::rnorm(7), 7)))
    at <- 0
    terms <- do.call(rbind, for_each_minibatch(post, function(x, local_l_mean, local_l_var, batch_index, labels) {
        rows <- at + seq_len(nrow(x))
        at <<- at + nrow(x)
        loss_terms(model, x, local_l_mean, local_l_var, batch_index, labels,
            noise = lapply(noise, function(e) e[rows, , drop = FALSE]))
    }))
    expect_close(elbo(post, noise = noise), mean(rowSums(terms)), 1e-5, floor = 1)
    expect_close(reconstruction_error(post, noise = noise), mean(terms$reconst_loss), 1e-5, floor = 1)
    # NULL is a result too.
    expect_identical(for_each_minibatch(post, function(...) NULL), list(NULL, NULL, NULL))
})

test_that("a shuffling posterior visits every cell once, in an order that its seed decides", {
    post <- post_of(shuffle = TRUE, data_loader_kwargs = list(batch_size = 16))
    visit <- function(...) unlist(for_each_minibatch(post, function(x, ...) rownames(x), ...))
    first <- visit(seed = 1)
    expect_identical(sort(first), sort(cell_names(dataset)))
    expect_false(identical(first, cell_names(dataset)))
    expect_identical(visit(seed = 1), first)
    expect_false(identical(visit(seed = 2), first))
    set.seed(3)
    a <- visit()
    set.seed(3)
    expect_identical(visit(), a)
    expect_false(identical(visit(), a))
    # Counts and names stay together.
    together <- do.call(rbind, for_each_minibatch(post, function(x, ...) x))
    expect_identical(unname(together), unname(x[match(rownames(together), cell_names(dataset)), ]))
})

test_that("an error in FUN comes out as it is", {
    post <- post_of()
    expect_error(for_each_minibatch(post, function(...) stop("mine")), "^mine$", class = "simpleError")
    expect_error(for_each_minibatch(post, function(...) rlang::abort("mine", class = "special")), class = "special")
    expect_warning(for_each_minibatch(post, function(...) warning("beware")), "beware")
    expect_error(for_each_minibatch(post, "sum"), "`FUN`.*\"sum\"", class = "rscvi_invalid_argument")
    expect_identical(nrow(latent_matrix(post)), 60L)
})

test_that("what cannot be is refused by name", {
    refuse <- function(message, ...) expect_error(post_of(...), message, class = "rscvi_invalid_argument")
    refuse("`indices` is mutually exclusive with `shuffle = TRUE`", shuffle = TRUE, indices = 1:3)
    refuse("`shuffle`.*NA", shuffle = NA)
    refuse("`indices`.*from 1 to 60; found 0 and 61", indices = c(0, 5, 61))
    refuse("`indices`.*found -1", indices = -1)
    refuse("`indices`.*found 1.5", indices = 1.5)
    refuse("`indices`.*found NA", indices = c(1, NA))
    refuse("`indices`.*length 59.*60", indices = rep(TRUE, 59))
    refuse("`indices`.*missing", indices = c(NA, rep(TRUE, 59)))
    refuse("`indices`.*\"nobody\"", indices = c("cell1", "nobody"))
    refuse("`indices`", indices = list(1))
    refuse("`use_cuda`.*2", use_cuda = 2)
    refuse("`data_loader_kwargs`.*named list", data_loader_kwargs = 128)
    refuse("`data_loader_kwargs`.*unknown.*drop_last", data_loader_kwargs = list(drop_last = TRUE))
    refuse("batch_size.*0", data_loader_kwargs = list(batch_size = 0))
    post <- post_of()
    refuse <- function(call, message) expect_error(call, message, class = "rscvi_invalid_argument")
    refuse(update(post, batches = 3), "`update.*batches")
    refuse(update(post, 3), "unnamed")
    refuse(update(post, batch_size = 0), "`batch_size`.*0")
    refuse(update(post, shuffle = NA), "`shuffle`")
    refuse(sequential(post, batch_size = "all"), "`batch_size`.*\"all\"")
    refuse(update_sampler_indices(post, 61), "`idx`.*61")
    refuse(update_sampler_indices(post, "nobody"), "`idx`.*\"nobody\"")
})

test_that("a GPU that is not there is refused, and NULL and FALSE use the CPU", {
    skip_if(cuda_is_available(), "there is a GPU")
    expect_error(post_of(use_cuda = TRUE), "`use_cuda` is TRUE.*no GPU", class = "rscvi_device_error")
    expect_error(update(post_of(), use_cuda = TRUE), "`use_cuda`", class = "rscvi_device_error")
    expect_error(UnsupervisedTrainer(model, dataset, use_cuda = TRUE), "`use_cuda`", class = "rscvi_device_error")
    # The core itself, if R's check were not there.
    post <- post_of()
    post@use_cuda <- TRUE
    expect_error(latent_matrix(post), "sees none", class = "rscvi_device_error")
    expect_identical(latent_matrix(post_of(use_cuda = FALSE)), latent_matrix(post_of()))
})

test_that("with a GPU the answers are those of the CPU", {
    skip_if_not(cuda_is_available(), "no GPU here")
    expect_equal(latent_matrix(post_of(use_cuda = TRUE)), latent_matrix(post_of(use_cuda = FALSE)), tolerance = 1e-4)
})

test_that("a posterior shows what it is and what it can be asked", {
    expect_output(print(post_of()), "Posterior of a VAE: all 60 cells x 12 genes.*batches: a 30, b 30.*x 30, y 30")
    expect_output(print(post_of(indices = c(1, 2, 4))), "3 of 60 cells.*batches: a 1, b 2.*labels:  x 3")
    expect_output(print(post_of()), "3 latent dimensions, zinb counts, dispersion per gene-batch.*observed")
    expect_output(print(post_of(shuffle = TRUE)), "128 cells at a time, in random order.*get_latent\\(\\).*marginal_ll")
    expect_output(print(corrupted(Posterior(model, corrupt(dataset, seed = 1)))), "reads corrupted counts")
})

test_that("long lists of labels break between labels, and cells without one are counted", {
    labels <- factor(rep(c(sprintf("long name %d", 1:7), NA), length.out = 60))
    labelled <- GeneExpressionDataset(counts(dataset), labels = labels)
    post <- Posterior(VAE(labelled, n_labels = 0, n_hidden = 4, n_latent = 2, seed = 1), labelled)
    withr::local_options(width = 40)
    lines <- capture.output(print(post))
    expect_identical(lines[2:5], c("  labels:  long name 1 8, long name 2 8,",
        "           long name 3 8, long name 4 8,",
        "           long name 5 7, long name 6 7,", "           ... (8 in all)"))
    withr::local_options(width = 80)
    expect_output(print(update_sampler_indices(post, c(8, 16, 1))), "labels:  long name 1 1, NA 2\n")
})
