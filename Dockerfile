# syntax=docker/dockerfile:1
# A server for one collection: see docs/server.md. Pictures are mounted read-only, the collection lives in a volume.
FROM python:3.13-slim AS build
ARG EXTRAS=
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/patchseek \
    && /opt/patchseek/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 patchseek \
    && mkdir /collection /pictures \
    && chown patchseek:patchseek /collection
COPY --from=build /opt/patchseek /opt/patchseek
ENV PATH=/opt/patchseek/bin:$PATH \
    PATCHSEEK_COLLECTION=/collection \
    PYTHONUNBUFFERED=1
USER 10001
VOLUME /collection
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', 8765, timeout=4); c.request('GET', '/healthz', headers={'Authorization': 'Bearer ' + os.environ['PATCHSEEK_TOKEN']}); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["patchseek"]
CMD ["serve", "--create", "--host", "0.0.0.0", "--allow-dir", "/pictures"]
