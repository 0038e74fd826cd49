# The router's image: Python, the router's own dependencies, the router. Build it from the repository's root:
#   docker build -t registry.example.com/routegen-router:VERSION .
# BASE may be any image with Python 3.11 or newer and pip, by digest for a build that can be repeated.
ARG BASE=python:3.13-slim
FROM ${BASE}

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app

COPY router/requirements.txt /tmp/requirements.txt
RUN python -m pip install --no-cache-dir --no-compile -r /tmp/requirements.txt && rm /tmp/requirements.txt

COPY router/routegen_router /app/routegen_router
RUN python -m compileall -q /app

# A number, so that Kubernetes can see that it isn't root (runAsNonRoot).
USER 65532:65532

# 50051: external processing and gRPC health. 9464: metrics and status.
EXPOSE 50051 9464
ENTRYPOINT ["python", "-m", "routegen_router"]
CMD ["--config", "/etc/routegen/router.json", "--listen", "[::]:50051", "--metrics", "[::]:9464"]
