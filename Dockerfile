# The gateway without the embedded model: no compiler, no pip, no shell needed, no root.
# The base is named by tag, so that a rebuild brings its security fixes; a deployment pins the
# digest of the image that it tested.
FROM python:3.11-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Dependencies first: this layer stays as long as the locks do.
COPY requirements/build.lock requirements/server.lock requirements/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.lock \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes -r requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY clients/python clients/python
COPY server server
# Without isolation the build backend is the locked one.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . ./clients/python \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="llmgateway-server" \
      org.opencontainers.image.description="A gRPC gateway to every LLM" \
      org.opencontainers.image.licenses="Apache-2.0"
# An intruder finds no installer.
RUN python3 -m pip uninstall --yes pip setuptools wheel
COPY --from=builder /opt/venv /opt/venv
# The server writes no files: it runs with a read-only root file system.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LLMGATEWAY_ADDRESS=127.0.0.1:50051
# A number, which Kubernetes' runAsNonRoot can check.
USER 65532:65532
EXPOSE 50051
# SIGTERM drains: streams in flight end, then the process does.
STOPSIGNAL SIGTERM
# Asks grpc.health.v1 at LLMGATEWAY_ADDRESS; Kubernetes ignores it and probes by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/opt/venv/bin/llmgateway", "health"]
ENTRYPOINT ["/opt/venv/bin/llmgateway-server"]
CMD ["serve", "--config", "/etc/llmgateway/config.yaml"]
