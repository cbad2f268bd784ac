# One image for all four services: docker build -t databench .
# The browser client and the wheel are built in stages of their own; neither Node nor pip's leftovers stay.
ARG PYTHON_IMAGE=python:3.11-slim
ARG NODE_IMAGE=node:20-slim


FROM ${NODE_IMAGE} AS client
WORKDIR /src/client-js
COPY client-js/package.json client-js/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY client-js ./
RUN npm run build


FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/databench && python3 -m venv /opt/build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python3 -m pip --python /opt/databench/bin/python install --require-hashes -r requirements.lock \
    && /opt/build/bin/pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml hatch_build.py LICENSE README.md ./
COPY src src
COPY services services
COPY analyses analyses
COPY --from=client /src/services/gateway/databench_gateway/static/client services/gateway/databench_gateway/static/client
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && python3 -m pip --python /opt/databench/bin/python install --no-deps --no-index /dist/*.whl


FROM ${PYTHON_IMAGE}
RUN useradd --uid 1000 --create-home --shell /usr/sbin/nologin databench
COPY --from=packages /opt/databench /opt/databench
ENV PATH=/opt/databench/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib
USER databench
WORKDIR /home/databench
EXPOSE 5000
ENTRYPOINT ["databench"]
