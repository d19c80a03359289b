# The gateway from its lock, in an environment of its own, with its data on a volume. docs/operating.md, "Containers".
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/lgsp && /opt/lgsp/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
# the code is compiled now: nothing can be written beside it later
RUN /opt/lgsp/bin/pip wheel --no-cache-dir --no-deps --wheel-dir dist . \
    && /opt/lgsp/bin/pip install --no-cache-dir --no-index --no-deps dist/lgsp-*.whl \
    && /opt/lgsp/bin/python -m compileall -q /opt/lgsp/lib

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 lgsp && mkdir /data && chown lgsp:lgsp /data
COPY --from=build /opt/lgsp /opt/lgsp
USER lgsp
# a container has a network of its own: who may reach these ports is said where they are published
ENV PATH=/opt/lgsp/bin:$PATH LGSP_DATA=/data LGSP_HOST=0.0.0.0 LGSP_DESK_HOST=0.0.0.0
VOLUME /data
EXPOSE 8443 8080
STOPSIGNAL SIGINT
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
ENTRYPOINT ["lgsp"]
CMD ["up"]
