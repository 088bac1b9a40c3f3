// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface ListOperationsRequest {
  'after'?: (number | string | Long);
  'count'?: (number);
}

export interface ListOperationsRequest__Output {
  'after': (string);
  'count': (number);
}
