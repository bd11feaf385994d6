# A JupyterLab image for Onyxia, from Debian and PyPI.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends curl jq \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --gid users --shell /bin/bash --home-dir /home/onyxia onyxia \
 && install -d -o onyxia -g root -m 0770 /home/onyxia /home/onyxia/.config /home/onyxia/work
COPY uv ca.crt /tmp/uv/
RUN export SSL_CERT_FILE=/tmp/uv/ca.crt UV_NO_CACHE=1 && /tmp/uv/uv venv -q --python python3 /opt/python \
 && /tmp/uv/uv pip install -q --compile-bytecode --python /opt/python/bin/python pip jupyterlab
COPY --chmod=755 onyxia-init.sh /opt/onyxia-init.sh
ENV PATH=/opt/python/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/home/onyxia
USER onyxia
WORKDIR /home/onyxia/work
EXPOSE 8888
ENTRYPOINT ["/opt/onyxia-init.sh"]
CMD ["jupyter", "lab", "--no-browser", "--ip", "0.0.0.0"]
