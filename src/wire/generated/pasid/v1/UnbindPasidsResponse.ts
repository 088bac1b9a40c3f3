// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface UnbindPasidsResponse {
  'unbound'?: (number);
  'revision'?: (number | string | Long);
}

export interface UnbindPasidsResponse__Output {
  'unbound': (number);
  'revision': (string);
}
