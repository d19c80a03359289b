# The same `./lgsp up` as on any machine, with its data on a volume.
FROM python:3.13-slim

RUN useradd --create-home --uid 10001 lgsp && mkdir /data && chown lgsp:lgsp /data
WORKDIR /opt/lgsp
COPY . .
RUN ./lgsp --help >/dev/null

USER lgsp
ENV LGSP_DATA=/data LGSP_HOST=0.0.0.0
VOLUME /data
EXPOSE 8443 8080
STOPSIGNAL SIGINT
ENTRYPOINT ["./lgsp"]
CMD ["up"]
