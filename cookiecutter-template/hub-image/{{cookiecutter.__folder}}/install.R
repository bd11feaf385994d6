# R packages, from the CRAN snapshot that runtime.txt names. Runs once, in the build.
packages <- c("tidyverse")

missing <- setdiff(packages, rownames(installed.packages()))
if (length(missing) > 0) install.packages(missing)

# install.packages only warns; a build without its packages has to fail.
failed <- setdiff(packages, rownames(installed.packages()))
if (length(failed) > 0) stop("not installed: ", paste(failed, collapse = ", "))
