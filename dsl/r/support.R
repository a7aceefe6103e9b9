# Functions that the Python side calls. They live in an environment of their own, not in the user's workspace.

home <- environment()

has_package <- function(name) nzchar(system.file(package = name))

# Call a function given by name or code; collect its value, error, warnings and printed lines.
# The arguments are bound to names first, so that a stored call stays short.
run <- function(code, values, labels) {
  warned <- character()
  problem <- character()
  value <- NULL
  printed <- utils::capture.output(type = "output", {
    value <- tryCatch(
      withCallingHandlers(call_by_name(code, values, labels),
        warning = function(w) {
          warned <<- c(warned, conditionMessage(w))
          invokeRestart("muffleWarning")
        },
        message = function(m) invokeRestart("muffleMessage")
      ),
      error = function(e) {
        problem <<- conditionMessage(e)
        NULL
      }
    )
  })
  list(value, enc2utf8(problem), enc2utf8(warned), enc2utf8(printed))
}

call_by_name <- function(code, values, labels) {
  env <- new.env(parent = home)
  env$.called <- eval(parse(text = code), env)
  slots <- ifelse(nzchar(labels), labels, paste0("argument_", seq_along(labels)))
  for (j in seq_along(values)) assign(slots[j], values[[j]], envir = env)
  called <- lapply(slots, as.name)
  names(called) <- labels
  eval(as.call(c(list(as.name(".called")), called)), env)
}

# --- conversion ---------------------------------------------------------------------------------------------

with_attributes <- function(x, new) {
  for (name in names(new)) attr(x, name) <- new[[name]]
  x
}

as_flags <- function(x) as.logical(x)

strings <- function(levels, codes) levels[codes]

# Distinct strings and the place of each element among them (NA: missing).
factorize <- function(x) {
  x <- enc2utf8(as.vector(x))
  levels <- unique(x[!is.na(x)])
  list(levels, match(x, levels))
}

make_frame <- function(columns, names, row_names) {
  names(columns) <- names
  attr(columns, "row.names") <- row_names
  class(columns) <- "data.frame"
  columns
}

# NULL where row names are the automatic 1, 2, ...
given_row_names <- function(x) if (.row_names_info(x) <= 0L) NULL else attr(x, "row.names")

complex_parts <- function(x) list(Re(x), Im(x), is.na(x))

# --- results -------------------------------------------------------------------------------------------------

as_formula <- function(text) stats::as.formula(text, env = globalenv())

make_dsl <- function(out, terms) {
  names(out$coefficients) <- names(out$standard_errors) <- terms
  class(out) <- c("list", "dsl")
  out
}

# --- learners ------------------------------------------------------------------------------------------------

as_features <- function(x) {
  x <- as.data.frame(x)
  names(x) <- paste0("x", seq_along(x))
  x
}

learner_family <- function(family) if (family == "binomial") stats::binomial() else stats::gaussian()

# Set the seed for this fit alone: R's own stream goes on where it was.
with_seed <- function(seed, value) {
  if (is.null(seed)) return(value)
  old <- get0(".Random.seed", envir = globalenv(), inherits = FALSE)
  on.exit(if (is.null(old)) rm(".Random.seed", envir = globalenv())
          else assign(".Random.seed", old, envir = globalenv()))
  set.seed(seed)
  value
}

learner_fit <- function(kind, names, x, y, family, options, seed) {
  with_seed(seed, switch(kind,
    grf = do.call(grf::regression_forest, c(list(X = x, Y = y), forest_seed(seed, options))),
    super = fit_super(names, as_features(x), y, family, options),
    formula = fit_formula(names, as_features(x), y, family, options)
  ))
}

# The number of threads changes grf's trees.
forest_seed <- function(seed, options) utils::modifyList(c(list(num.threads = 1L), if (!is.null(seed)) list(seed = seed)), options)

fit_super <- function(names, x, y, family, options) {
  home <- asNamespace("SuperLearner")
  unknown <- names[!vapply(names, exists, NA, envir = home)]
  if (length(unknown)) stop("SuperLearner has no learner ", paste(unknown, collapse = ", "))
  given <- list(Y = y, X = x, family = learner_family(family), SL.library = names, env = home)
  do.call(SuperLearner::SuperLearner, c(given, options))
}

fit_formula <- function(name, x, y, family, options) {
  fun <- eval(parse(text = name))
  if ("family" %in% names(formals(fun)) && is.null(options$family)) options$family <- learner_family(family)
  given <- list(formula = stats::reformulate(names(x), "y"), data = cbind(y = y, x))
  do.call(fun, c(given, options))
}

learner_predict <- function(kind, model, x, family) {
  if (kind == "grf") return(stats::predict(model, x)$predictions)
  x <- as_features(x)
  if (kind == "super") return(stats::predict(model, newdata = x, onlySL = TRUE)$pred)
  if (inherits(model, "ranger")) return(stats::predict(model, data = x, num.threads = 1L)$predictions)
  type <- if (inherits(model, c("glm", "gam", "gbm", "randomForest"))) list(type = "response") else list()
  out <- do.call(stats::predict, c(list(model, x), type))
  if (is.list(out)) out[[1]] else out
}
