# syntax=docker/dockerfile:1
# The daemon as a small image: docker build -t gristmill .
# Nothing secret is in it; settings come from the environment (GRISTMILL__SECTION__KEY). docker-compose.yml runs it.

# The compiler of `rust-version` in Cargo.toml; gcc and make, for LAME and SQLite, are in this image.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --locked --profile dist --bin gristmill && \
    install -D target/dist/gristmill /built/gristmill

FROM debian:bookworm-20250908-slim
# The certificates that webhooks, sources of questions, buckets and `amqps` are checked against.
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/*
# Volumes that Docker makes here take over the owner.
RUN groupadd --gid 10001 gristmill && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/gristmill --shell /usr/sbin/nologin gristmill && \
    install -d -o 10001 -g 10001 -m 0750 /var/lib/gristmill /var/lib/gristmill-blobs /var/lib/gristmill-backups \
      /var/log/gristmill
COPY --from=build /built/gristmill /usr/local/bin/gristmill
COPY scripts/healthy /usr/local/bin/gristmill-healthy

USER 10001:10001
WORKDIR /var/lib/gristmill
# Beyond loopback callers must prove who they are (`auth.anonymous` is off then, unless it is set).
ENV GRISTMILL__HTTP__BIND=0.0.0.0:5000 \
    GRISTMILL__DATA_DIR=/var/lib/gristmill
EXPOSE 5000
VOLUME ["/var/lib/gristmill"]
# A drain: `shutdown.grace_s` (30) and a moment, so give it `--stop-timeout 45`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["gristmill-healthy"]
ENTRYPOINT ["gristmill"]
CMD ["serve"]
