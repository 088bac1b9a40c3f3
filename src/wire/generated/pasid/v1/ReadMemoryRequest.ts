// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface ReadMemoryRequest {
  'session'?: (string);
  'guestAddress'?: (number | string | Long);
  'size'?: (number);
}

export interface ReadMemoryRequest__Output {
  'session': (string);
  'guestAddress': (string);
  'size': (number);
}
