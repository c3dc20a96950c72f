# Stampede in one small image: the executable, the libraries that it links, certificate authorities. No shell, no root.
#
#   docker build -t stampede .
#
# With the classic builder and with BuildKit. A machine behind a proxy that signs with an authority of its own, or that takes its crates
# from a mirror, puts what it needs into deploy/machine/ (see its README). HTTP_PROXY and the like are build arguments as always.

ARG RUST_IMAGE=rust:1-bookworm

FROM ${RUST_IMAGE} AS build
WORKDIR /build

COPY deploy/machine/ /machine/
RUN set -eu; \
    if ls /machine/*.crt >/dev/null 2>&1; then cp /machine/*.crt /usr/local/share/ca-certificates/; update-ca-certificates; fi; \
    if [ -e /machine/config.toml ]; then mkdir -p "${CARGO_HOME:-$HOME/.cargo}"; cp /machine/config.toml "${CARGO_HOME:-$HOME/.cargo}/"; fi

# What is shown to nobody need not be in the image: symbols are two thirds of the executable.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    CARGO_PROFILE_DIST_DEBUG=false \
    CARGO_PROFILE_DIST_STRIP=symbols

# Dependencies are built from the manifests alone: this layer holds until one of them changes.
COPY Cargo.toml Cargo.lock ./
COPY crates/stamp/Cargo.toml crates/stamp/
COPY crates/service/Cargo.toml crates/service/
COPY crates/apiserver/Cargo.toml crates/apiserver/
COPY crates/pushserver/Cargo.toml crates/pushserver/
COPY crates/mqttclient/Cargo.toml crates/mqttclient/
COPY crates/load/Cargo.toml crates/load/
COPY crates/plan/Cargo.toml crates/plan/
COPY crates/scenario/Cargo.toml crates/scenario/
COPY crates/analysis/Cargo.toml crates/analysis/
COPY crates/measure/Cargo.toml crates/measure/
COPY crates/raster/Cargo.toml crates/raster/
COPY crates/reporter/Cargo.toml crates/reporter/
COPY crates/stack/Cargo.toml crates/stack/
COPY crates/workers/Cargo.toml crates/workers/
COPY crates/experiment/Cargo.toml crates/experiment/
COPY crates/live/Cargo.toml crates/live/
COPY crates/prometheus/Cargo.toml crates/prometheus/
COPY crates/history/Cargo.toml crates/history/
COPY crates/notify/Cargo.toml crates/notify/
COPY crates/page/Cargo.toml crates/page/
COPY crates/otlp/Cargo.toml crates/otlp/
COPY crates/driver/Cargo.toml crates/driver/
RUN set -eu; \
    for crate in crates/*; do mkdir "$crate/src"; touch "$crate/src/lib.rs"; echo 'fn main() {}' >"$crate/src/main.rs"; done; \
    cargo build --profile dist --locked -p driver --features parquet; \
    rm -r crates/*/src

COPY scripts/post.lua scripts/
COPY crates crates
# The files are older than what was built of the empty ones.
RUN find crates -name '*.rs' -exec touch {} + && cargo build --profile dist --locked -p driver --features parquet

# The image, file by file. Paths of libraries differ between processors: ldd knows them.
RUN set -eu; \
    mkdir -p /image/usr/local/bin /image/etc/ssl/certs /image/reports; \
    mkdir -m 1777 /image/tmp; \
    cp target/dist/driver /image/usr/local/bin/; \
    ldd target/dist/driver | grep -o '/[^ )]*' | xargs -I{} cp -L --parents {} /image; \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/; \
    echo 'stampede:x:65532:65532:Stampede:/:/sbin/nologin' >/image/etc/passwd; \
    echo 'stampede:x:65532:' >/image/etc/group; \
    chown 65532:65532 /image/reports

FROM scratch
LABEL org.opencontainers.image.title="Stampede" \
      org.opencontainers.image.description="An end-to-end latency tracer for asynchronous pipelines: driver, apiserver, pushserver, mqttclient" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /
ENV PATH=/usr/local/bin
# The services' HTTP, where --listen or STAMPEDE_LISTEN says so.
EXPOSE 8080
# Each part finishes what it has accepted: give it 15 s (docs/delivery.md). It needs no init: it starts no processes here.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/driver"]
CMD ["--help"]
