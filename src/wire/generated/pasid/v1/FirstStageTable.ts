// Original file: proto/pasid/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface FirstStageTable {
  'address'?: (number | string | Long);
  'addressWidth'?: (number);
  'supervisor'?: (boolean);
  'writeProtect'?: (boolean);
  'extendedAccessed'?: (boolean);
}

export interface FirstStageTable__Output {
  'address': (string);
  'addressWidth': (number);
  'supervisor': (boolean);
  'writeProtect': (boolean);
  'extendedAccessed': (boolean);
}
