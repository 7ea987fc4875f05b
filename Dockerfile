FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /build && python -m venv --without-pip /app
# Typed Python is compiled here (docs/decisions/0023-compiled-where-wanted.md); what runs has no compiler in it.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null
COPY requirements-build.lock requirements.lock ./
RUN /build/bin/pip install --no-deps --require-hashes -r requirements-build.lock -r requirements.lock \
    && /build/bin/pip --python /app/bin/python install --no-deps --require-hashes -r requirements.lock
COPY . .
RUN HATCH_BUILD_HOOK_ENABLE_MYPYC=1 /build/bin/python -m hatchling build -t wheel -d /dist \
    && /build/bin/pip --python /app/bin/python install --no-deps --no-index /dist/*.whl

FROM python:3.11-slim-bookworm
COPY --from=build /app /app
# A container's loopback is its own: only an address that is not loopback can be published.
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 SIDECAR_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 CMD ["python", "-P", "-c", \
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SIDECAR_ADMIN_PORT', '9801') + '/healthz', timeout=3)"]
ENTRYPOINT ["sidecar"]
CMD ["serve"]
