# Functions that the Python side calls. They live in an environment of their own, not in the user's workspace.

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
  env <- new.env(parent = globalenv())
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
