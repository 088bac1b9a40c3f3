// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface UnmapMemoryRequest {
  'session'?: (string);
  'guestAddress'?: (number | string | Long);
  'size'?: (number | string | Long);
}

export interface UnmapMemoryRequest__Output {
  'session': (string);
  'guestAddress': (string);
  'size': (string);
}
