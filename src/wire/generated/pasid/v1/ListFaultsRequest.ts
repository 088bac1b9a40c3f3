// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface ListFaultsRequest {
  'device'?: (string);
  'after'?: (number | string | Long);
  'count'?: (number);
}

export interface ListFaultsRequest__Output {
  'device': (string);
  'after': (string);
  'count': (number);
}
