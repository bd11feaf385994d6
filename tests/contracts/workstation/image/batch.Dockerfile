# A workstation for batch jobs: the platform starts it with a command, no network, and the run user's uid.
ARG BASE
FROM ${BASE}
ARG RUN_USER=chaimeleon
ARG RUN_UID=1000
LABEL name="batch" version="1.0"

RUN apt-get update \
 && apt-get install -y --no-install-recommends tini python3-pip \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log

RUN groupadd --gid "${RUN_UID}" "${RUN_USER}" \
 && useradd --create-home --shell /bin/bash --uid "${RUN_UID}" --gid "${RUN_UID}" "${RUN_USER}"
COPY --chmod=755 start /opt/workstation/start

USER ${RUN_USER}:${RUN_USER}
WORKDIR /home/${RUN_USER}
# Volumes are mounted over these; what an image has in them nobody sees.
RUN mkdir datasets persistent-home persistent-shared-folder
ENTRYPOINT ["/usr/bin/tini", "--", "/opt/workstation/start"]
CMD ["bash"]
