// Original file: proto/pasid/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface WatchResync {
  'revision'?: (number | string | Long);
  'reason'?: (string);
}

export interface WatchResync__Output {
  'revision': (string);
  'reason': (string);
}
