// Original file: proto/pasid/v1/emulator_lab.proto

import type { Long } from '@grpc/proto-loader';

export interface NeededInvalidation {
  'cache'?: (string);
  'hardwareDomain'?: (number);
  'pasid'?: (number);
  'device'?: (string);
  'address'?: (number | string | Long);
  'size'?: (number | string | Long);
  'remedy'?: (string);
}

export interface NeededInvalidation__Output {
  'cache': (string);
  'hardwareDomain': (number);
  'pasid': (number);
  'device': (string);
  'address': (string);
  'size': (string);
  'remedy': (string);
}
