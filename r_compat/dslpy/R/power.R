# power_dsl(): the reference's arguments; standard errors that other numbers of expert labels would give.

power_dsl <- function(labeled_size = NULL, dsl_out = NULL, model = "lm", formula, ..., drawn = "rows") {
  call <- sys.call()
  if (is.null(dsl_out)) dsl_out <- dsl(model = model, formula = formula, ...)
  if (!inherits(dsl_out, "dslpy")) stop_dsl("dsl_out must be a value of dsl(); found ", describe(dsl_out), call = call)
  if (!is.character(drawn) || length(drawn) != 1 || !drawn %in% c("rows", "clusters")) {
    stop_dsl("drawn must be \"rows\" or \"clusters\"; found ", deparse1(drawn), call = call)
  }
  if (!is.null(labeled_size) && (!is.numeric(labeled_size) || anyNA(labeled_size))) {
    stop_dsl("labeled_size must hold numbers of labelled rows; found ", deparse1(labeled_size), call = call)
  }
  stored <- dsl_out$internal$power
  if (is.null(stored)) stop_dsl("dsl_out holds no parts of its variance; fit it again", call = call)
  if (is.null(stored$refused)) stored <- stored[[drawn]]
  terms <- names(dsl_out$coefficients)
  found <- call_python("power", stored, as.list(terms), as.list(unname(dsl_out$standard_errors)),
                       if (!is.null(labeled_size)) as.list(as.numeric(labeled_size)), call = call)
  size <- as.numeric(unlist(found$labeled_size))
  by_size <- function(values) matrix(unlist(values), nrow = length(size), byrow = TRUE, dimnames = list(size, terms))
  structure(
    list(predicted_se = by_size(found$predicted_se), labeled_size = size, dsl_out = dsl_out,
         extrapolated = by_size(found$extrapolated)),
    class = c("dslpy_power", "power_dsl")
  )
}

print.dslpy_power <- function(x, digits = 4, ...) {
  heading("Predicted Standard Errors:")
  print(round(x$predicted_se, digits), ...)
  if (any(x$extrapolated)) cat("Extrapolated where the predicted variance is not positive: not to be relied on.\n")
  invisible(x)
}

summary.dslpy_power <- function(object, ...) as.data.frame(object$predicted_se)

plot.dslpy_power <- function(x, coef_name = colnames(x$predicted_se), ...) {
  order <- order(x$labeled_size)
  se <- x$predicted_se[order, coef_name, drop = FALSE]
  given <- list(...)
  usual <- list(x = x$labeled_size[order], y = se, type = "b", pch = seq_along(coef_name), lty = seq_along(coef_name),
                col = "black", ylim = c(0, max(se)), xlab = "Labelled rows", ylab = "Predicted standard error", bty = "l")
  do.call(matplot, c(given, usual[setdiff(names(usual), names(given))]))
  legend("bottomleft", coef_name, pch = seq_along(coef_name), lty = seq_along(coef_name), bty = "n", cex = 0.8)
  invisible(x)
}
