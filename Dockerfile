# docker build -t taskq . && docker run --stop-timeout 45 -p 127.0.0.1:8080:8080 -e REDIS_ADDR=redis:6379 taskq
#
# Your own task modules: a Dockerfile with `FROM taskq`, `COPY myapp /app/myapp` and `ENV TASKQ_TASKS__IMPORT=myapp.tasks`;
# what they need is installed with `USER root`, `RUN pip install ...`, `USER 10001`.

FROM python:3.12-slim AS builder
WORKDIR /src
RUN python -m venv /opt/taskq
COPY setup.py setup.cfg README.md LICENSE ./
COPY taskq taskq
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/taskq/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.12-slim
COPY --from=builder /opt/taskq /opt/taskq

# A fixed uid, so that volumes and Kubernetes' runAsUser can name it.
# The file stands in for a Redis that nobody named: any REDIS_* variable beats it, and a file mounted over it replaces it.
# It is not a variable because that would beat the redis.url of a mounted file.
RUN groupadd --gid 10001 taskq \
    && useradd --uid 10001 --gid taskq --no-create-home --home-dir /app --shell /usr/sbin/nologin taskq \
    && install -d -o taskq -g taskq /app \
    && install -d /etc/taskq \
    && printf 'redis:\n  url: redis://localhost:6379/0\n' > /etc/taskq/taskq.yaml

# Inside a container loopback is nobody's, so the API listens on every address of it and asks for no credentials: who may
# reach it is decided by what is published (-p 127.0.0.1:8080:8080) and by the network that the container joins.
# SERVER_PORT is set because the health check needs the port as well.
ENV PATH=/opt/taskq/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TASKQ_CONFIG=/etc/taskq/taskq.yaml \
    TASKQ_API__LISTEN=0.0.0.0:8080 \
    TASKQ_API__ALLOW_UNAUTHENTICATED=true \
    SERVER_PORT=8080

WORKDIR /app
USER 10001:10001
EXPOSE 8080

# No proxy: HTTP_PROXY, which Docker passes into containers, would be asked for 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["python", "-I", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['SERVER_PORT'] + '/health', timeout=5)"]

# taskq is process 1 and needs no init: it reaps whatever is orphaned. SIGTERM drains, which takes up to 40 s with the default
# pools.default.drain of 30 s, so stop with `docker stop -t 45` or stop_grace_period: 45s; Docker's own 10 s would kill tasks.
STOPSIGNAL SIGTERM
ENTRYPOINT ["taskq"]
CMD ["run"]
