// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface StatusWrite {
  'address'?: (number | string | Long);
  'data'?: (number);
}

export interface StatusWrite__Output {
  'address': (string);
  'data': (number);
}
