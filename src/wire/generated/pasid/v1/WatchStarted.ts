// Original file: proto/pasid/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface WatchStarted {
  'revision'?: (number | string | Long);
}

export interface WatchStarted__Output {
  'revision': (string);
}
