# The gateway from its lock, in an environment of its own, with its data on a volume. docs/operating.md, "Containers".
# Every pin of the lock has wheels for this Python; the tests run on 3.13 and from 3.11 on (--build-arg PYTHON=3.13).
# Whoever builds for production names the base by its digest: PYTHON=3.14-slim@sha256:…, which nobody can know here.
ARG PYTHON=3.14-slim
FROM python:${PYTHON} AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# what builds the wheel stays in this stage, outside /opt/lgsp
RUN python -m venv /opt/lgsp && /opt/lgsp/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY . .
# the code is compiled now: nothing can be written beside it later
RUN pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/lgsp/bin/pip install --no-cache-dir --no-index --no-deps dist/lgsp-*.whl \
    && /opt/lgsp/bin/pip uninstall --yes pip \
    && /opt/lgsp/bin/python -m compileall -q /opt/lgsp/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="lgsp" \
      org.opencontainers.image.description="A data-exchange gateway for a province's intelligent operations centre" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.3.0"
RUN groupadd --gid 10001 lgsp && useradd --create-home --uid 10001 --gid 10001 lgsp \
    && install -d -o 10001 -g 10001 -m 0700 /data /drops /run/invitations
COPY --from=build /opt/lgsp /opt/lgsp
# by number, so that a cluster can see that it is not root
USER 10001:10001
# a container has a network of its own: who may reach these ports is said where they are published
ENV PATH=/opt/lgsp/bin:$PATH LGSP_DATA=/data LGSP_HOST=0.0.0.0 LGSP_DESK_HOST=0.0.0.0 LGSP_METRICS_PORT=9464
VOLUME /data
EXPOSE 8443 8080
STOPSIGNAL SIGINT
# the listener of the metrics is there whatever the machine's roles are
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"LGSP_METRICS_PORT\"]}/healthz', timeout=3)"]
ENTRYPOINT ["lgsp"]
CMD ["up"]
