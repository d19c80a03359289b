# The same `./lgsp up` as on any machine, with its data on a volume.
FROM python:3.13-slim

RUN useradd --create-home --uid 10001 lgsp && mkdir /data && chown lgsp:lgsp /data
WORKDIR /opt/lgsp
COPY . .
# the code is compiled now: nothing can be written beside it later
RUN ./lgsp --help >/dev/null && .venv/bin/python -m compileall -q contracts security adapters gateway examples bench

USER lgsp
ENV LGSP_DATA=/data LGSP_HOST=0.0.0.0 LGSP_DESK_HOST=0.0.0.0
VOLUME /data
EXPOSE 8443 8080
STOPSIGNAL SIGINT
ENTRYPOINT ["./lgsp"]
CMD ["up"]
