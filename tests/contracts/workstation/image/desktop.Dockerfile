# A workstation with a desktop: VNC on 5900, SSH on 2222, both for the platform's gateway alone.
ARG BATCH
FROM ${BATCH}
LABEL name="desktop" version="1.0"

USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends openbox openssh-server supervisor x11vnc xvfb \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 # Host keys are made at the start, each container its own.
 && rm -f /etc/ssh/ssh_host_* \
 && install -d -m 1777 /tmp/.X11-unix
COPY --chmod=755 start-desktop with-display /opt/workstation/
COPY supervisord.conf /opt/workstation/
# Nobody can log in with it: it is random, and changed at the start. passwd(1) wants to be told it then.
ARG RUN_USER=chaimeleon
RUN head -c 24 /dev/urandom | base64 > /opt/workstation/first-password \
 && printf '%s:%s\n' "${RUN_USER}" "$(cat /opt/workstation/first-password)" | chpasswd

USER ${RUN_USER}:${RUN_USER}
ARG PORTS="2222 5900"
EXPOSE ${PORTS}
ENTRYPOINT ["/opt/workstation/start-desktop"]
