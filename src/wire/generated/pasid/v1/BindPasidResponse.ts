// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface BindPasidResponse {
  'revision'?: (number | string | Long);
}

export interface BindPasidResponse__Output {
  'revision': (string);
}
