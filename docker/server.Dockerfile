# One server of compose.yaml, built as scripts/servers.sh builds it: from the module's source at a fixed version. MinIO
# publishes no images any more. BusyBox brings the wget of the health checks.
FROM golang:1.26-alpine AS build
ARG PACKAGE
ARG VERSION
RUN CGO_ENABLED=0 GOBIN=/build go install -ldflags="-s -w" "$PACKAGE@$VERSION" && mv /build/* /server

FROM busybox:1.37
COPY --from=build /server /server
ENTRYPOINT ["/server"]
