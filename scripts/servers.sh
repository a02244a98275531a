#!/usr/bin/env bash
# Get the servers that the tests talk to, MinIO and fake-gcs-server, ready, and run a command with them, if one is given.
# With Go they are built, once, into the folder given; without it, a running Docker starts them for the command's time.
# Without either it says what will be skipped; with CI=true that is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${1:?usage: servers.sh FOLDER [COMMAND...]}
shift
servers=(
  "minio CLOUDCKPT_TEST_S3_ENDPOINT github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c"
  "fake-gcs-server CLOUDCKPT_TEST_GCS_ENDPOINT github.com/fsouza/fake-gcs-server v1.56.1"
)

compose() { docker compose --file docker/compose.yaml "$@"; }

start_with_docker() {
  echo "Go is not there to build $1: Docker starts the servers"
  compose up --detach --wait
  trap 'compose down' EXIT
  export CLOUDCKPT_TEST_S3_ENDPOINT=http://127.0.0.1:9000 CLOUDCKPT_TEST_GCS_ENDPOINT=http://127.0.0.1:4443
}

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
  if command -v go >/dev/null; then
    echo "building $name $version into $bin (once; MinIO takes some minutes)"
    mkdir -p "$bin"
    GOBIN=$bin go install "$module@$version"
    rm -f "$bin/.$name@"*
    touch "$stamp"
  elif (($#)) && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
    start_with_docker "$name"
  elif [[ ${CI:-} == true ]]; then
    echo "error: neither Go nor Docker is there for $name, and CI runs no tests without it" >&2
    exit 1
  else
    echo "neither Go nor Docker is there: tests against $name are skipped unless it is on PATH"
  fi
done

"$@"
