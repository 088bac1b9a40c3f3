// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface EmulatedStatusWrite {
  'address'?: (number | string | Long);
  'data'?: (number);
}

export interface EmulatedStatusWrite__Output {
  'address': (string);
  'data': (number);
}
