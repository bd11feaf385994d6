# A login shell sets PATH anew (/etc/profile); put the repository's environment back in front.
PATH="${VIRTUAL_ENV}/bin:${HOME}/.local/bin:${REPO_DIR:+${REPO_DIR}/.local/bin:}${PATH}"
export PATH
