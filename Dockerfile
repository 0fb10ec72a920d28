# podfit's images, for those who build with docker, podman or buildah. `make images` makes the same ones without.
#
#   docker build --target podfit-webhook --build-arg REVISION=$(git describe --always --dirty --abbrev=12) \
#     --tag registry.example.com/podfit-webhook:0.1.0 .
#
# Likewise podfit-recommender and podfit-updater, and podfit-ml-workload for examples/ml-platform: what is compiled is
# shared. Each image is one static program, and a user that is not root.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
ARG PROFILE=release
# What --version tells; .git is not in the build's context.
ARG REVISION=unknown
ENV PODFIT_REVISION=$REVISION
WORKDIR /podfit
COPY . .
# Not larger than 15 MB, static, and telling their version: or it fails.
# No cache of what was compiled: cargo goes by the files' times, which a checkout may set back.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir -p /root-of-image/etc /root-of-image/tmp /programs \
    && chmod 1777 /root-of-image/tmp \
    && printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >/root-of-image/etc/passwd \
    && printf 'root:x:0:\nnonroot:x:65532:\n' >/root-of-image/etc/group \
    && built=$(tests/local-cluster/programs --profile "$PROFILE") \
    && cp "$built"/podfit-recommender "$built"/podfit-updater "$built"/podfit-webhook "$built"/ml-workload /programs

FROM scratch AS base
COPY --from=build /root-of-image /
USER 65532:65532
WORKDIR /
LABEL org.opencontainers.image.licenses=Apache-2.0

# The revision comes after the program, which has it, too: a builder that knows layers by their text would keep an old one.
FROM base AS podfit-recommender
COPY --from=build /programs/podfit-recommender /
ENTRYPOINT ["/podfit-recommender"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title=podfit-recommender org.opencontainers.image.revision=$REVISION

FROM base AS podfit-updater
COPY --from=build /programs/podfit-updater /
ENTRYPOINT ["/podfit-updater"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title=podfit-updater org.opencontainers.image.revision=$REVISION

FROM base AS podfit-webhook
COPY --from=build /programs/podfit-webhook /
ENTRYPOINT ["/podfit-webhook"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title=podfit-webhook org.opencontainers.image.revision=$REVISION

FROM base AS podfit-ml-workload
COPY --from=build /programs/ml-workload /
ENTRYPOINT ["/ml-workload"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title=podfit-ml-workload org.opencontainers.image.revision=$REVISION
