# Holdgate as a container: `docker build --tag holdgate .`
#
# Settings, data and keys live in /var/lib/holdgate; the root file system can be read-only (docs/container.md):
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#       --volume holdgate:/var/lib/holdgate --publish 127.0.0.1:8420:8420 holdgate
# The passphrase or the AppRole of the vault comes from the environment at run time; nothing secret is built in.

FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/build.txt requirements/holdgate.txt requirements/
RUN python -m pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv /opt/holdgate \
    && /opt/holdgate/bin/python -m pip install --require-hashes --requirement requirements/holdgate.txt
COPY . .
RUN python -m hatchling build --target wheel --directory /wheel \
    && /opt/holdgate/bin/python -m pip install --no-deps --no-index /wheel/*.whl \
    && /opt/holdgate/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --uid 8420 --user-group --no-create-home --home-dir /var/lib/holdgate --shell /usr/sbin/nologin holdgate \
    && install --directory --owner holdgate --group holdgate --mode 0700 /var/lib/holdgate
COPY --from=build /opt/holdgate /opt/holdgate
ENV PATH=/opt/holdgate/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /var/lib/holdgate
USER 8420:8420
VOLUME /var/lib/holdgate
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8420/healthz', timeout=2)"]
ENTRYPOINT ["holdgate"]
CMD ["serve"]
