#!/usr/bin/env bash
# Get the servers that the tests talk to, MinIO, fake-gcs-server and toxiproxy, ready, and run a command with them, if one
# is given. With Go they are built, once, into the folder given; without it, a running Docker starts the first two for the
# command's time. Without either it says what will be skipped; with CI=true that is an error. npm gets Azurite.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${1:?usage: servers.sh FOLDER [COMMAND...]}
shift
servers=(
  "minio CLOUDCKPT_TEST_S3_ENDPOINT github.com/minio/minio v0.0.0-20260212201848-7aac2a2c5b7c"
  "fake-gcs-server CLOUDCKPT_TEST_GCS_ENDPOINT github.com/fsouza/fake-gcs-server v1.56.1"
  "toxiproxy-server - github.com/Shopify/toxiproxy/v2/cmd/server v2.5.0"
)

compose() { docker compose --file docker/compose.yaml "$@"; }

start_with_docker() {
  echo "Go is not there to build $1: Docker builds and starts the servers (once; MinIO takes some minutes)"
  compose up --detach --wait
  trap 'compose down' EXIT
  export CLOUDCKPT_TEST_S3_ENDPOINT=http://127.0.0.1:9000 CLOUDCKPT_TEST_GCS_ENDPOINT=http://127.0.0.1:4443
}

build() {
  local name=$1 package=$2 version=$3 folder
  folder=$(mktemp -d "$bin/.building-XXXXXX")
  # Go names a command by its package's last folder, which need not be the server's name.
  GOBIN=$folder go install "$package@$version"
  mv "$folder"/* "$bin/$name"
  rmdir "$folder"
}

for server in "${servers[@]}"; do
  read -r name endpoint package version <<<"$server"
  # The version is part of the stamp, so that a new pin is built.
  stamp=$bin/.$name@$version
  if [[ $endpoint != - && -n ${!endpoint:-} ]]; then
    continue  # one runs already
  fi
  if [[ -x $bin/$name ]] && { [[ -e $stamp ]] || ! compgen -G "$bin/.$name@*" >/dev/null; }; then
    continue  # built before, or put there by hand
  fi
  if command -v go >/dev/null; then
    echo "building $name $version into $bin (once; MinIO takes some minutes)"
    mkdir -p "$bin"
    build "$name" "$package" "$version"
    rm -f "$bin/.$name@"*
    touch "$stamp"
  elif [[ $endpoint != - ]] && (($#)) && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
    start_with_docker "$name"
  elif [[ ${CI:-} == true ]]; then
    echo "error: there is no Go to build $name (nor Docker, for those that it starts), and CI runs no tests without it" >&2
    exit 1
  else
    echo "there is no Go to build $name (nor Docker, for those that it starts): its tests are skipped unless it is on PATH"
  fi
done

# Azurite runs on Node.js, which not every machine has: without it its tests are skipped, in CI as well.
azurite=3.35.0
if [[ -n ${CLOUDCKPT_TEST_AZURE_ENDPOINT:-} || -e $bin/.azurite@$azurite ]]; then
  :  # one runs already, or it was got before
elif [[ -x $bin/azurite-blob ]] && ! compgen -G "$bin/.azurite@*" >/dev/null; then
  :  # put there by hand
elif command -v npm >/dev/null && echo "getting Azurite $azurite with npm (once)" && mkdir -p "$bin" &&
  npm install --silent --no-fund --no-audit --prefix "$bin/../azurite" "azurite@$azurite"; then
  ln -sf ../azurite/node_modules/.bin/azurite-blob "$bin/azurite-blob"
  rm -f "$bin/.azurite@"*
  touch "$bin/.azurite@$azurite"
else
  echo "npm is not there, or could not get Azurite: its tests are skipped unless azurite-blob is on PATH"
fi

"$@"
