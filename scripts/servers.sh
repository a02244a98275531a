#!/usr/bin/env bash
# Build the servers that the tests talk to, MinIO and fake-gcs-server, once, into the folder given.
# Without Go it says what will be skipped; with CI=true that is an error.
set -euo pipefail

bin=${1:?usage: servers.sh FOLDER}
servers=(
  "minio CLOUDCKPT_TEST_S3_ENDPOINT github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c"
  "fake-gcs-server CLOUDCKPT_TEST_GCS_ENDPOINT github.com/fsouza/fake-gcs-server v1.56.1"
)

for server in "${servers[@]}"; do
  read -r name endpoint module version <<<"$server"
  # The version is part of the stamp, so that a new pin is built.
  stamp=$bin/.$name@$version
  if [[ -n ${!endpoint:-} ]]; then
    continue  # one runs already
  fi
  if [[ -x $bin/$name ]] && { [[ -e $stamp ]] || ! compgen -G "$bin/.$name@*" >/dev/null; }; then
    continue  # built before, or put there by hand
  fi
  if ! command -v go >/dev/null; then
    if [[ ${CI:-} == true ]]; then
      echo "error: Go is not there to build $name, and CI runs no tests without it" >&2
      exit 1
    fi
    echo "Go is not there: tests against $name are skipped unless it is on PATH, or runs already (make compose)"
    continue
  fi
  echo "building $name $version into $bin (once; MinIO takes some minutes)"
  mkdir -p "$bin"
  GOBIN=$bin go install "$module@$version"
  rm -f "$bin/.$name@"*
  touch "$stamp"
done
