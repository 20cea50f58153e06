# VAEC and SCANVI against the numbers that scvi 0.6.8 computed with the same weights and noise; see test-reference.R.

# The same model, with the loss as 0.6.8 has it for one dispersion a gene and label: labels are one-hot encoded twice.
as_0.6.8 <- function(model) {
    model@options$encode_labels_twice <- TRUE
    model@state$handle <- NULL
    model
}

without_labels <- function(minibatch) minibatch[setdiff(names(minibatch), "y")]

test_that("SCANVI has the losses, labels and latent variables of 0.6.8", {
    ref <- reference("p6")
    expected <- ref$expected
    model <- reference_model(ref)
    batch <- reference_minibatch(ref)
    noise <- list(z = ref$noise$z, library = ref$noise$l)

    known <- do.call(loss_terms, c(list(model), batch, list(noise = c(noise, list(z2 = ref$noise$scanvi_z2_labelled)))))
    expect_close(known$reconst_loss + known$kl_z1, expected$forward_labelled.reconst)
    expect_close(known$kl_z + known$kl_l, expected$forward_labelled.kl)

    unknown <- do.call(loss_terms, c(list(model), without_labels(batch),
        list(noise = c(noise, list(z2 = ref$noise$scanvi_z2_unlabelled)))))
    expect_close(unknown$reconst_loss + unknown$kl_z1, expected$forward_unlabelled.reconst)
    expect_close(unknown$kl_z + unknown$kl_l + unknown$kl_y, expected$forward_unlabelled.kl)

    post <- Posterior(model, reference_dataset(ref))
    n <- ref$config$n_cells
    zeros <- list(z = matrix(0, n, 6), library = matrix(0, n, 1), z2 = matrix(0, n, 6))
    expect_close(elbo(post, noise = zeros), expected$posterior.elbo_zero_noise)

    latents <- get_latents(model, batch$x, y = batch$y, noise = noise["z"])
    expect_close(latents$z1, expected$get_latents.z1)
    expect_close(latents$z2, expected$get_latents.z2)
})

test_that("VAEC has the losses of 0.6.8, and with a dispersion a label the mended ones", {
    ref <- reference("p5")
    expected <- ref$expected
    batch <- reference_minibatch(ref)
    known_noise <- list(z = ref$noise$z, library = ref$noise$l)
    unknown_noise <- list(z = ref$noise$vaec_z_unlabelled, library = ref$noise$vaec_l_unlabelled)
    ask <- function(model) {
        list(known = do.call(loss_terms, c(list(model), batch, list(noise = known_noise))),
            unknown = do.call(loss_terms, c(list(model), without_labels(batch), list(noise = unknown_noise))))
    }
    old <- ask(as_0.6.8(reference_model(ref)))
    expect_close(old$known$reconst_loss, expected$forward_labelled.reconst)
    expect_close(old$known$kl_z + old$known$kl_l, expected$forward_labelled.kl)
    expect_close(old$unknown$reconst_loss, expected$forward_unlabelled.reconst)
    expect_close(old$unknown$kl_z + old$unknown$kl_l + old$unknown$kl_y, expected$forward_unlabelled.kl)

    # Mended: what inference() says of the same cells, which 0.6.8 computes rightly, is what the loss is made of.
    new <- ask(reference_model(ref))
    expect_close(new$known$reconst_loss, expected$inf_eps.reconst_loss)
    expect_gt(max(abs(new$known$reconst_loss / old$known$reconst_loss - 1)), 0.01)
    n <- length(expected$kl_z)
    per_label <- vapply(1:4, function(k) {
        rows <- seq_len(n) + (k - 1) * n
        terms <- loss_terms(reference_model(ref), batch$x, batch$local_l_mean, batch$local_l_var, batch$batch_index,
            y = rep(k, n), noise = lapply(unknown_noise, function(e) e[rows, , drop = FALSE]))
        terms$reconst_loss
    }, numeric(n))
    q <- classify(reference_model(ref), batch$x)
    expect_close(new$unknown$reconst_loss, rowSums(per_label * q))
})

for (folder in c("p5_vaec_zinb_genelabel", "p6_scanvi_zinb_genecell")) {
    ref <- reference(folder)
    test_that(paste(folder, "classifies as 0.6.8 does"), {
        q <- classify(reference_model(ref), t(as.matrix(ref$counts)))
        expect_close(unname(q), ref$expected$classify)
        expect_equal(rowSums(q), rep(1, ref$config$n_cells), tolerance = 1e-6, ignore_attr = TRUE)
        expect_identical(unname(apply(q, 1, which.max)) - 1L, as.integer(ref$expected$classify_argmax))
    })

    test_that(paste(folder, "takes three optimiser steps as 0.6.8 does, with its double softmax"), {
        is_vaec <- ref$config$model == "VAEC"
        minibatches <- lapply(0:2, function(step) {
            noise <- function(name) ref$noise[[paste0("train.", name, ".", step)]]
            c(reference_minibatch(ref), list(noise = if (is_vaec) list(z = noise("zu"), library = noise("lu"))
                else list(z = noise("z"), library = noise("l"), z2 = noise("z2"))))
        })
        model <- reference_model(ref, dropout_rate = 0)
        if (is_vaec) model <- as_0.6.8(model)
        losses <- fit_minibatches(model, minibatches, kl_weight = 0.25, double_softmax = TRUE)
        expect_close(losses, ref$expected$train.losses_kl0.25, tolerance = 1e-3)
        expect_trained_state(model, ref$train3_state)
    })
}
