// Original file: proto/pasid/v1/operator.proto

import type { Long } from '@grpc/proto-loader';

export interface WatchRequest {
  'fromRevision'?: (number | string | Long);
  '_fromRevision'?: "fromRevision";
}

export interface WatchRequest__Output {
  'fromRevision'?: (string);
  '_fromRevision'?: "fromRevision";
}
