#!/bin/sh
# Go stubs of the broker, below the current folder, which has go.mod: generate.sh FOLDER_OF_PROTO
# The .proto files name no Go package: which one it is here, is said by the M options.
set -eu
go build -o bin/ \
  google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
set -- "$1" pasid/v1/types.proto pasid/v1/pasid_broker.proto pasid/v1/operator.proto
proto=$1 && shift
options=module=pasid-interop
for file in "$@"; do options="$options,M$file=pasid-interop/pasid/v1"; done
PATH="$PWD/bin:$PATH" protoc -I "$proto" \
  --go_out="$options:." --go-grpc_out="$options:." "$@"
