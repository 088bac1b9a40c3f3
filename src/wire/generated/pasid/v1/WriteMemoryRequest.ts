// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface WriteMemoryRequest {
  'session'?: (string);
  'guestAddress'?: (number | string | Long);
  'data'?: (Buffer | Uint8Array | string);
}

export interface WriteMemoryRequest__Output {
  'session': (string);
  'guestAddress': (string);
  'data': (Buffer);
}
