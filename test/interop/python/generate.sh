#!/bin/sh
# Python stubs of the broker: generate.sh FOLDER_OF_PROTO FOLDER_FOR_STUBS
# Needs the packages of requirements.txt; PYTHON says which interpreter has them.
set -eu
"${PYTHON:-python3}" -m grpc_tools.protoc -I "$1" --python_out "$2" --grpc_python_out "$2" \
  pasid/v1/types.proto pasid/v1/pasid_broker.proto pasid/v1/operator.proto
